import type { Id } from '#lib/api/types.ts';

/** Whom something is set for; nobody was chosen yet where there is no id. */
export interface Holder {
  scope: 'user' | 'workspace';
  id: Id | undefined;
}
