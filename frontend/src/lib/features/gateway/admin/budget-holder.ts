import type { Id } from '#lib/api/types.ts';

/** User or workspace to whom a limit applies. `id` is missing until one is chosen. */
export interface Holder {
  scope: 'user' | 'workspace';
  id: Id | undefined;
}
