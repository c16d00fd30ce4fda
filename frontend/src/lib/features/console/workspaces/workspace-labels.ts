import type { WorkspaceKind } from '../api.ts';
import { nameIn } from '#lib/util/enum-lookup.ts';
import { m } from '#lib/paraglide/messages.js';

const KINDS: Record<WorkspaceKind, () => string> = {
  team: m.any_workspace_team,
  shared: m.any_workspace_shared,
  personal: m.any_workspace_personal
};

export function kindName(kind: WorkspaceKind): string {
  return nameIn(KINDS, kind);
}
