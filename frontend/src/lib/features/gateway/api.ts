/** API types of the AI gateway: usage, models, budgets and providers. Amounts are in millionths of a credit. */

import type * as Described from '#lib/api/generated/types.gen.ts';
import type { Always, Id } from '#lib/api/types.ts';
import type { Api } from '#lib/api/client.ts';

export type GatewayEndpoint = Described.GatewayEndpoint;

/** Request parameters that change the model, provider or price, and are passed through only if allowed. */
export type GatewayPass = Described.GatewayPass;

export type BudgetPeriod = Described.BudgetPeriod;

export type BudgetLimit = Described.BudgetLimit;

/** Fields or headers of a request that name the end user of a call. */
export type EndUserSource = Described.EndUserSource;

/** Budget with its state. `resets_at` is null if the budget doesn't renew. */
export type Budget = Always<Described.Budget, 'resets_at'>;

/** Budget of a user or a workspace; `id` is that of the user or workspace. */
export type ScopedBudget = Budget & {
  id: Id;
  scope: Exclude<Described.BudgetScope, 'key' | 'end_user' | 'model' | 'tag'>;
};

/** Models that a user or a workspace may use; `id` is that of the user or workspace. */
export type ModelList = Omit<Described.ModelList, 'scope'> & { scope: ScopedBudget['scope'] };

/** Usage of one day, model, key, user, end user or tag. */
export type UsageGroup = Described.UsageGroup;

export type UsageGrouping = Described.UsageGrouping;

/** Call of a model. */
export type UsageRequest = Always<Described.UsageRequest, 'key_id' | 'end_user' | 'first_token_ms'>;

/** Reason why the server refused a call. */
export type UsageRefusal = Described.UsageRefusal;

/** Call of a model, and how it was answered. */
export type UsageRequestDetails = UsageRequest &
  Always<
    Pick<
      Described.UsageRequestDetails,
      'workspace_id' | 'model_name' | 'failed_attempts' | 'repairs' | 'refusal' | 'price' | 'batch_price_percent'
    >,
    'workspace_id' | 'model_name' | 'refusal' | 'price' | 'batch_price_percent'
  >;

/** Prices in millionths of a credit per million tokens. */
export type ModelPrice = Described.ModelPrice;

export type ModelCapabilities = Always<
  Described.ModelCapabilities,
  'images' | 'pdf' | 'audio' | 'tools' | 'json_schema' | 'reasoning'
>;

/** Request parameters that a model supports. Null if unknown. */
export type ModelParams = Always<Described.ModelTakes, 'thinking' | 'sampling' | 'thoughts' | 'accepts'>;

/** Deployment of a model: one provider that serves it. */
export type ModelDeployment = Always<Described.ModelDeployment, 'weight' | 'priority'>;

/** Models that are tried after a failure, by kind of error. */
export type ModelFallbacks = Always<Described.ModelFallbacks, 'context_length' | 'content_policy' | 'failure'>;

/** Model as an admin defines it. Without a price, that of the server's table applies. */
export type ModelDefinition = Omit<
  Always<Described.ModelDefinition, 'aliases' | 'price'>,
  'deployments' | 'fallbacks' | 'capabilities' | 'parameters'
> & {
  deployments: ModelDeployment[];
  fallbacks: ModelFallbacks;
  capabilities: ModelCapabilities;
  parameters: ModelParams;
};

/** Model of the gateway. `source` is `admin` if it is defined in the console. If `charge` is missing, its price is unknown. */
export type GatewayModel = ModelDefinition &
  Pick<Always<Described.GatewayModel, 'charged'>, 'name' | 'source' | 'charged' | 'price_version'>;

/** Model that the user may use. */
export type UsableModel = Omit<Always<Described.UsableModel, 'price'>, 'capabilities'> & {
  capabilities: ModelCapabilities;
};

export type ProviderKey = Always<Described.ProviderKey, 'resting_until'>;

export type AiProvider = Omit<Described.AiProvider, 'keys'> & { keys: ProviderKey[] };

export type NewProvider = Described.AddProviderRequest;
export type ProviderChange = Described.ChangeProviderRequest;

export type ProviderTest = Always<Described.ProviderTest, 'latency_ms' | 'error'>;

export const fetchProviders = (api: Api) => api.get('/admin/providers');

/** Fetches the calls of a request: one of a program, or those for an answer in a chat. */
export const fetchUsageRequest = (api: Api, id: string) =>
  api.get(`/usage/requests/${encodeURIComponent(id)}`, { page_size: 100 });

/** Fetches the models that the account may use. */
export const fetchUsableModels = (api: Api) => api.get('/models', { page_size: 200 });
