/** The wire contract of the gateway: usage, models, budgets and providers. Amounts are millionths of a credit. */

import type * as Described from './generated/types.gen.ts';
import type { Always, Id, Timestamp } from './types.ts';

export type GatewayEndpoint = Described.GatewayEndpoint;

/** What routes or costs beside a request's model. */
export type GatewayPass = Described.GatewayPass;

export type BudgetPeriod = Described.BudgetPeriod;

export type BudgetLimit = Described.BudgetLimit;

/** A budget as it stands. */
export interface Budget extends BudgetLimit {
  spent: number;
  /** Kept back for requests that are under way. */
  held: number;
  /** Null: never. */
  resets_at: Timestamp | null;
}

/** Of a person or a workspace, whose id it has. */
export interface ScopedBudget extends Budget {
  scope: 'user' | 'workspace';
  id: Id;
}

/** The models that a person or a workspace may use, whose id it has. */
export interface ModelList {
  scope: 'user' | 'workspace';
  id: Id;
  /** By name or alias. */
  models: string[];
}

/** What one day, model, key or person used. */
export type UsageGroup = Described.UsageGroup;

export type UsageGrouping = 'day' | 'model' | 'key' | 'user';

/** One request to a model. */
export interface UsageRequest {
  id: Id;
  created_at: Timestamp;
  request_id: string;
  key_id: Id | null;
  user_id: Id;
  /** A part of `/v1`, or `assistant` for an answer in a chat. */
  endpoint: string;
  asked_model: string;
  model: string;
  deployment: string;
  input_tokens: number;
  cached_tokens: number;
  output_tokens: number;
  reasoning_tokens: number;
  cost: number;
  estimated: boolean;
  /** The HTTP status; 499 where the client left. */
  status: number;
  first_token_ms: number | null;
  duration_ms: number;
  tries: number;
}

/** What a million tokens cost. */
export interface ModelPrice {
  input: number;
  output: number;
  cached?: number | null;
  cache_write?: number | null;
  audio?: number | null;
  audio_output?: number | null;
  /** Of a request with more input than this. */
  long?: { above: number; input: number; output: number; cached?: number | null; cache_write?: number | null } | null;
}

export type ModelCapabilities = Always<
  Described.ModelCapabilities,
  'images' | 'pdf' | 'audio' | 'tools' | 'json_schema' | 'reasoning'
>;

/** Where a model can be had. */
export type ModelDeployment = Always<Described.ModelDeployment, 'weight' | 'priority'>;

/** Models that are asked instead, by what went wrong. */
export type ModelFallbacks = Always<Described.ModelFallbacks, 'context_length' | 'content_policy' | 'failure'>;

export interface ModelDefinition {
  aliases: string[];
  deployments: ModelDeployment[];
  fallbacks: ModelFallbacks;
  /** Null: the price of the server's own table. */
  price: ModelPrice | null;
  capabilities: ModelCapabilities;
}

export interface GatewayModel extends ModelDefinition {
  name: string;
  /** `admin`: defined here; `configuration`: it follows from the server's settings. */
  source: string;
  /** The price that is charged; null: it is unknown. */
  charged: ModelPrice | null;
  price_version: string;
}

/** A model that one may use. */
export interface UsableModel {
  name: string;
  aliases: string[];
  capabilities: ModelCapabilities;
  price: ModelPrice | null;
}

export type ProviderKey = Always<Described.ProviderKey, 'resting_until'>;

export interface AiProvider {
  name: string;
  kind: string;
  /** `console`: it was added there, and can be changed there. */
  source: 'configuration' | 'console';
  /** Of one that was added; null: its kind’s public service. */
  base_url: string | null;
  /** Empty: any model. */
  models: string[];
  requests_per_minute: number | null;
  /** The instance that answered leaves it alone for a while. */
  is_resting: boolean;
  keys: ProviderKey[];
}

interface ProviderFields {
  base_url: string | null;
  models: string[];
  requests_per_minute: number | null;
}

export interface NewProvider extends ProviderFields {
  name: string;
  kind: string;
  keys: string[];
}

export interface ProviderChange extends ProviderFields {
  add_keys: string[];
  /** By their ids. */
  remove_keys: string[];
}

export type ProviderTest = Always<Described.ProviderTest, 'latency_ms' | 'error'>;
