import type { KeyScope } from '#lib/api/identity.ts';
import { m } from '#lib/paraglide/messages.js';

export const SCOPES = ['read', 'write', 'gateway'] as const satisfies readonly KeyScope[];

export const scopeNames: Record<KeyScope, () => string> = {
  read: m.scope_read,
  write: m.scope_write,
  gateway: m.scope_gateway
};

export const scopeMeanings: Record<KeyScope, () => string> = {
  read: m.scope_read_about,
  write: m.scope_write_about,
  gateway: m.scope_gateway_about
};
