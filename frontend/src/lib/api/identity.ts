/** The wire contract of accounts, workspaces and the console. */

import type { Id, ProviderKind, Timestamp, Workspace, WorkspaceRole } from './types.ts';

/** An account at a provider that signs this one in. */
export interface Identity {
  id: Id;
  provider: string;
  /** Null: the server knows that provider no more. */
  kind: ProviderKind | null;
  email: string | null;
  created_at: Timestamp;
}

export interface Passkey {
  id: Id;
  name: string;
  created_at: Timestamp;
  last_used_at: Timestamp | null;
}

/** A second factor that waits for its first code. */
export interface TotpSetup {
  secret: string;
  uri: string;
}

export type KeyScope = 'read' | 'write' | 'gateway';

export interface ApiKey {
  id: Id;
  name: string;
  /** How the key begins: enough to know it by, too little to use it. */
  prefix: string;
  scopes: KeyScope[];
  expires_at: Timestamp | null;
  last_used_at: Timestamp | null;
  created_at: Timestamp;
}

/** The only answer that has the key itself. */
export type NewApiKey = ApiKey & { key: string };

/** What those who look after a workspace see of it. */
export type WorkspaceDetails = Workspace & {
  /** Whoever has a verified address of one of these may join. */
  join_domains?: string[];
  /** The one of the whole installation: nobody renames or deletes it. */
  shared?: boolean;
};

/** `GET /r1/workspaces/joinable` */
export type JoinableWorkspace = Pick<Workspace, 'id' | 'name'>;

export interface Invitation {
  id: Id;
  /** Whom it is for; a link is for whoever has it. */
  email: string | null;
  role: WorkspaceRole;
  uses: number;
  max_uses: number;
  expires_at: Timestamp;
  created_at: Timestamp;
}

/** The only answer that has the way in. */
export type NewInvitation = Invitation & { token: string; url: string };

export interface Ban {
  id: Id;
  /** One address, or a range as CIDR. */
  address: string;
  reason: string;
  /** Null: the firewall. */
  created_by: Id | null;
  created_at: Timestamp;
  expires_at: Timestamp;
}

export interface AuditEntry {
  id: Id;
  action: string;
  /** Null: somebody who was not signed in, or the server itself. */
  actor: Id | null;
  /** Null, too, when the account is gone. */
  actor_name: string | null;
  target: string | null;
  address: string | null;
  created_at: Timestamp;
}
