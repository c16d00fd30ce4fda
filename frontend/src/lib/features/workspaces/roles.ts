import type { WorkspaceRole } from '#lib/api/types.ts';
import { nameIn } from '#lib/util/enum-lookup.ts';
import { m } from '#lib/paraglide/messages.js';

export const roleNames: Record<WorkspaceRole, () => string> = {
  owner: m.role_owner,
  admin: m.role_admin,
  member: m.role_member,
  guest: m.role_guest
};

/** Roles that a member may assign. Admins may assign only lower ones than theirs; ownership is transferred in another way. */
export function rolesToGive(own: WorkspaceRole): WorkspaceRole[] {
  if (own === 'owner') return ['admin', 'member', 'guest'];
  return own === 'admin' ? ['member', 'guest'] : [];
}

export function roleOptions(own: WorkspaceRole): { value: WorkspaceRole; label: string }[] {
  return rolesToGive(own).map((value) => ({ value, label: nameIn(roleNames, value) }));
}
