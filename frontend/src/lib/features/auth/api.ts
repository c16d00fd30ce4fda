/** API types of accounts, invitations and moderation. */

import type * as Described from '#lib/api/generated/types.gen.ts';
import type { Budget, GatewayEndpoint, GatewayPass } from '#lib/features/gateway/api.ts';
import type { Always, Id, Timestamp, Workspace } from '#lib/api/types.ts';

/** Linked identity. Without a kind its provider is no longer configured. */
export type Identity = Always<Described.Identity, 'email' | 'kind'>;

export type Passkey = Always<Described.Passkey, 'last_used_at'>;

/** WebAuthn messages as JSON. */
export type PasskeyJson = Described.PasskeyChallenge['publicKey'];

/** Second factor before its first code. */
export type TotpSetup = Described.Authenticator;

export type KeyScope = Described.Scope;

/** The prefix identifies the key. */
export type ApiKey = Always<Described.ApiKey, 'expires_at' | 'last_used_at'> & {
  workspace_id: Id | null;
  models: string[];
  endpoints: GatewayEndpoint[];
  /** Null for all models of the provider. */
  passthrough: GatewayPass[] | null;
  rpm: number | null;
  tpm: number | null;
  parallel: number | null;
  budget: Budget | null;
  /** End of the grace period of the previous secret. */
  previous_until: Timestamp | null;
};

/** Model limits of a key. Empty lists allow all; null means no limit. */
export type KeyPolicy = Required<
  Omit<Described.CreateApiKeyRequest, 'name' | 'scopes' | 'expires_at' | 'workspace_id'>
>;

/** The only response with the secret. */
export type NewApiKey = ApiKey & { key: string };

/** `GET /r1/workspaces/joinable` */
export type JoinableWorkspace = Pick<Workspace, 'id' | 'name'>;

/** Without an email address it is a link for anyone. */
export type Invitation = Always<Described.Invitation, 'email'>;

/** The only response with the link. */
export type NewInvitation = Invitation & Pick<Described.NewInvitation, 'token' | 'url'>;

/** Without a creator it was created by the firewall. */
export type Ban = Always<Described.Ban, 'created_by'>;

export type BanInput = Described.AddBanRequest;

/** Audit action, such as `auth.signin`. */
export type AuditAction = Described.AuditAction;

/** Without actor: signed out or the server. Without name: the account was deleted. */
export type AuditEntry = Always<Described.AuditEntry, 'actor' | 'actor_name' | 'address' | 'place' | 'target'>;
