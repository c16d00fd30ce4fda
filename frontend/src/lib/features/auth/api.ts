/** The wire contract of accounts, invitations and the console, as the app sees it. */

import type * as Described from '#lib/api/generated/types.gen.ts';
import type { Budget, GatewayEndpoint, GatewayPass } from '#lib/features/gateway/api.ts';
import type { Always, Id, Timestamp, Workspace } from '#lib/api/types.ts';

/** An account at a provider that signs this one in. No kind: the settings name that provider no more. */
export type Identity = Always<Described.Identity, 'email' | 'kind'>;

export type Passkey = Always<Described.Passkey, 'last_used_at'>;

/** What a browser and an authenticator say to each other. */
export type PasskeyJson = Described.PasskeyChallenge['publicKey'];

/** A second factor that waits for its first code. */
export type TotpSetup = Described.Authenticator;

export type KeyScope = Described.Scope;

/** Its prefix is how the key begins: enough to know it by, too little to use it. */
export type ApiKey = Always<Described.ApiKey, 'expires_at' | 'last_used_at'> & {
  workspace_id: Id | null;
  models: string[];
  endpoints: GatewayEndpoint[];
  /** Null: all that the provider hands on. */
  passthrough: GatewayPass[] | null;
  rpm: number | null;
  tpm: number | null;
  parallel: number | null;
  budget: Budget | null;
  /** Until when the key from before the last rotation is accepted. */
  previous_until: Timestamp | null;
};

/** What a key may use of the models. No models or endpoints named: all of them; null: no limit. */
export type KeyPolicy = Required<
  Omit<Described.CreateApiKeyRequest, 'name' | 'scopes' | 'expires_at' | 'workspace_id'>
>;

/** The only answer that has the key itself. */
export type NewApiKey = ApiKey & { key: string };

/** `GET /r1/workspaces/joinable` */
export type JoinableWorkspace = Pick<Workspace, 'id' | 'name'>;

/** Without an address it is a link, for whoever has it. */
export type Invitation = Always<Described.Invitation, 'email'>;

/** The only answer that has the way in. */
export type NewInvitation = Invitation & Pick<Described.NewInvitation, 'token' | 'url'>;

/** Made by nobody: by the firewall. */
export type Ban = Always<Described.Ban, 'created_by'>;

export type BanInput = Described.AddBanRequest;

/** What was done, such as `auth.signin`. */
export type AuditAction = Described.AuditAction;

/** No actor: somebody who was not signed in, or the server itself. No name: the account is gone. */
export type AuditEntry = Always<Described.AuditEntry, 'actor' | 'actor_name' | 'address' | 'place' | 'target'>;
