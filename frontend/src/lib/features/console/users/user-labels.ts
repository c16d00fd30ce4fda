import type { Account } from '../api.ts';
import type { WorkspaceRole } from '#lib/api/types.ts';
import { m } from '#lib/paraglide/messages.js';

/** Text and appearance of the badge with the most important status of an account. Without email nobody can verify an address, so it isn't mentioned. */
export function stateOf(account: Account, sendsMail: boolean): { look: string; words: string } {
  if (account.status === 'suspended') return { look: 'bad', words: m.user_suspended() };
  if (!account.email_verified && sendsMail) return { look: 'warn', words: m.user_unverified() };
  return { look: 'ok', words: m.user_active() };
}

export const ROLES: Record<WorkspaceRole, () => string> = {
  owner: m.role_owner,
  admin: m.role_admin,
  member: m.role_member,
  guest: m.role_guest
};
