import type { KeyScope } from '#lib/features/auth/api.ts';
import { m } from '#lib/paraglide/messages.js';

export const SCOPES = ['read', 'write', 'gateway'] as const satisfies readonly KeyScope[];

/** Scopes for administrators of the installation. */
export const ADMIN_SCOPES = [...SCOPES, 'admin'] as const satisfies readonly KeyScope[];

export const scopeNames: Record<KeyScope, () => string> = {
  read: m.scope_read,
  write: m.scope_write,
  gateway: m.scope_gateway,
  admin: m.scope_admin
};

export const scopeMeanings: Record<KeyScope, () => string> = {
  read: m.scope_read_about,
  write: m.scope_write_about,
  gateway: m.scope_gateway_about,
  admin: m.scope_admin_about
};
