/** API types of accounts, invitations and moderation. */

import type * as Described from '#lib/api/generated/types.gen.ts';
import type { Budget, BudgetLimit, GatewayEndpoint, GatewayPass } from '#lib/features/gateway/api.ts';
import type { Always, Id, Timestamp, Workspace } from '#lib/api/types.ts';

/** Identity at an OAuth provider that is linked to the account. `kind` is null if the provider is no longer configured. */
export type Identity = Always<Described.Identity, 'email' | 'kind'>;

export type Passkey = Always<Described.Passkey, 'last_used_at'>;

/** WebAuthn options and responses as JSON. */
export type PasskeyJson = Described.PasskeyChallenge['publicKey'];

/** Authenticator app that is being set up, before its first code is confirmed. */
export type TotpSetup = Described.Authenticator;

export type EmailChange = Described.EmailChange;

export type KeyScope = Described.Scope;

/** API key without its secret; people recognise it by its prefix. */
export type ApiKey = Always<Described.ApiKey, 'expires_at' | 'last_used_at'> & {
  workspace_id: Id | null;
  models: string[];
  endpoints: GatewayEndpoint[];
  /** Restricted parameters that are passed through to the provider; null for all that its settings allow. */
  passthrough: GatewayPass[] | null;
  rpm: number | null;
  tpm: number | null;
  parallel: number | null;
  budget: Budget | null;
  /** Budgets of single end users, models and tags, by name. */
  end_user_budgets: Record<string, BudgetLimit>;
  model_budgets: Record<string, BudgetLimit>;
  tag_budgets: Record<string, BudgetLimit>;
  /** Budget of each end user; null if there is none. */
  end_user_budget: BudgetLimit | null;
  /** Time until which the previous secret stays valid; null if there is none. */
  previous_until: Timestamp | null;
};

/** Limits of a key. Empty lists allow everything; null means no limit. */
export type KeyPolicy = Required<
  Omit<Described.CreateApiKeyRequest, 'name' | 'scopes' | 'expires_at' | 'workspace_id'>
>;

/** API key with its secret, which only the response to its creation contains. */
export type NewApiKey = ApiKey & { key: string };

/** `GET /r1/workspaces/joinable` */
export type JoinableWorkspace = Pick<Workspace, 'id' | 'name'>;

/** Invitation to a workspace. If `email` is null, anyone with the link can use it. */
export type Invitation = Always<Described.Invitation, 'email'>;

/** Invitation with its link, which only the response to its creation contains. */
export type NewInvitation = Invitation & Pick<Described.NewInvitation, 'token' | 'url'>;

/** Result of inviting several addresses. */
export type CreatedInvitations = Described.CreatedInvitations & { invited: Invitation[] };

/** Address that wasn't invited, with an error code. */
export type SkippedAddress = Described.SkippedAddress;

/** Banned address. If `created_by` is null, the firewall has banned it. */
export type Ban = Always<Described.Ban, 'created_by'>;

export type BanInput = Described.AddBanRequest;

/** Kind of an audit log entry, such as `auth.signin`. */
export type AuditAction = Described.AuditAction;

/** Audit log entry. Without `actor` it was the server or someone who was signed out; without `actor_name` the account was deleted. */
export type AuditEntry = Always<Described.AuditEntry, 'actor' | 'actor_name' | 'address' | 'place' | 'target'>;
