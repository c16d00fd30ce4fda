/** The wire contract of the gateway: usage, models, budgets and providers. Amounts are millionths of a credit. */

import type * as Described from '#lib/api/generated/types.gen.ts';
import type { Always, Id } from '#lib/api/types.ts';
import type { Api } from '#lib/api/client.ts';

export type GatewayEndpoint = Described.GatewayEndpoint;

/** What routes or costs beside a request's model. */
export type GatewayPass = Described.GatewayPass;

export type BudgetPeriod = Described.BudgetPeriod;

export type BudgetLimit = Described.BudgetLimit;

/** A budget as it stands; `resets_at` is null where it never begins anew. */
export type Budget = Always<Described.Budget, 'resets_at'>;

/** Of a person or a workspace, whose id it has. */
export type ScopedBudget = Budget & { id: Id; scope: Exclude<Described.BudgetScope, 'key'> };

/** The models that a person or a workspace may use, whose id it has. */
export type ModelList = Omit<Described.ModelList, 'scope'> & { scope: ScopedBudget['scope'] };

/** What one day, model, key or person used. */
export type UsageGroup = Described.UsageGroup;

export type UsageGrouping = Described.UsageGrouping;

/** One request to a model. */
export type UsageRequest = Always<Described.UsageRequest, 'key_id' | 'first_token_ms'>;

/** What a million tokens cost. */
export type ModelPrice = Described.ModelPrice;

export type ModelCapabilities = Always<
  Described.ModelCapabilities,
  'images' | 'pdf' | 'audio' | 'tools' | 'json_schema' | 'reasoning'
>;

/** What a model takes of a request. Null: as far as the server knows. */
export type ModelParams = Always<Described.ModelTakes, 'thinking' | 'sampling' | 'thoughts'>;

/** Where a model can be had. */
export type ModelDeployment = Always<Described.ModelDeployment, 'weight' | 'priority'>;

/** Models that are asked instead, by what went wrong. */
export type ModelFallbacks = Always<Described.ModelFallbacks, 'context_length' | 'content_policy' | 'failure'>;

/** Without a price: that of the server's own table. */
export type ModelDefinition = Omit<
  Always<Described.ModelDefinition, 'aliases' | 'price'>,
  'deployments' | 'fallbacks' | 'capabilities' | 'parameters'
> & {
  deployments: ModelDeployment[];
  fallbacks: ModelFallbacks;
  capabilities: ModelCapabilities;
  parameters: ModelParams;
};

/** `source`: `admin` where it was defined here. Nothing charged: the price is unknown. */
export type GatewayModel = ModelDefinition &
  Pick<Always<Described.GatewayModel, 'charged'>, 'name' | 'source' | 'charged' | 'price_version'>;

/** A model that one may use. */
export type UsableModel = Omit<Always<Described.UsableModel, 'price'>, 'capabilities'> & {
  capabilities: ModelCapabilities;
};

export type ProviderKey = Always<Described.ProviderKey, 'resting_until'>;

export type AiProvider = Omit<Described.AiProvider, 'keys'> & { keys: ProviderKey[] };

export type NewProvider = Described.AddProviderRequest;
export type ProviderChange = Described.ChangeProviderRequest;

export type ProviderTest = Always<Described.ProviderTest, 'latency_ms' | 'error'>;

export const fetchProviders = (api: Api) => api.get('/admin/providers');

/** Fetches the models that the account may call. */
export const fetchUsableModels = (api: Api) => api.get('/models', { page_size: 200 });
