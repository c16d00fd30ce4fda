/** API types of the gateway: usage, models, budgets, providers. Amounts are in millionths of a credit. */

import type * as Described from '#lib/api/generated/types.gen.ts';
import type { Always, Id } from '#lib/api/types.ts';
import type { Api } from '#lib/api/client.ts';

export type GatewayEndpoint = Described.GatewayEndpoint;

/** Request parameters that change routing or price. */
export type GatewayPass = Described.GatewayPass;

export type BudgetPeriod = Described.BudgetPeriod;

export type BudgetLimit = Described.BudgetLimit;

/** Budget with its state; `resets_at` is null for one-time budgets. */
export type Budget = Always<Described.Budget, 'resets_at'>;

/** Budget of a user or workspace, by its id. */
export type ScopedBudget = Budget & { id: Id; scope: Exclude<Described.BudgetScope, 'key'> };

/** Model allow-list of a user or workspace, by its id. */
export type ModelList = Omit<Described.ModelList, 'scope'> & { scope: ScopedBudget['scope'] };

/** Usage of a day, model, key or user. */
export type UsageGroup = Described.UsageGroup;

export type UsageGrouping = Described.UsageGrouping;

/** Model request. */
export type UsageRequest = Always<Described.UsageRequest, 'key_id' | 'first_token_ms'>;

/** Prices per million tokens. */
export type ModelPrice = Described.ModelPrice;

export type ModelCapabilities = Always<
  Described.ModelCapabilities,
  'images' | 'pdf' | 'audio' | 'tools' | 'json_schema' | 'reasoning'
>;

/** Request parameters that a model supports. Null: unknown. */
export type ModelParams = Always<Described.ModelTakes, 'thinking' | 'sampling' | 'thoughts'>;

/** Deployment of a model at a provider. */
export type ModelDeployment = Always<Described.ModelDeployment, 'weight' | 'priority'>;

/** Fallback models by error class. */
export type ModelFallbacks = Always<Described.ModelFallbacks, 'context_length' | 'content_policy' | 'failure'>;

/** Without a price the server's table applies. */
export type ModelDefinition = Omit<
  Always<Described.ModelDefinition, 'aliases' | 'price'>,
  'deployments' | 'fallbacks' | 'capabilities' | 'parameters'
> & {
  deployments: ModelDeployment[];
  fallbacks: ModelFallbacks;
  capabilities: ModelCapabilities;
  parameters: ModelParams;
};

/** `source`: `admin` if defined in the console. Without a charge the price is unknown. */
export type GatewayModel = ModelDefinition &
  Pick<Always<Described.GatewayModel, 'charged'>, 'name' | 'source' | 'charged' | 'price_version'>;

/** Model available to the user. */
export type UsableModel = Omit<Always<Described.UsableModel, 'price'>, 'capabilities'> & {
  capabilities: ModelCapabilities;
};

export type ProviderKey = Always<Described.ProviderKey, 'resting_until'>;

export type AiProvider = Omit<Described.AiProvider, 'keys'> & { keys: ProviderKey[] };

export type NewProvider = Described.AddProviderRequest;
export type ProviderChange = Described.ChangeProviderRequest;

export type ProviderTest = Always<Described.ProviderTest, 'latency_ms' | 'error'>;

export const fetchProviders = (api: Api) => api.get('/admin/providers');

/** Fetches the models available to the account. */
export const fetchUsableModels = (api: Api) => api.get('/models', { page_size: 200 });
