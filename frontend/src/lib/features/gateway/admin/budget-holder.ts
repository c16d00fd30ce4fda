import type { Id } from '#lib/api/types.ts';

/** User or workspace; without id if none is chosen. */
export interface Holder {
  scope: 'user' | 'workspace';
  id: Id | undefined;
}
