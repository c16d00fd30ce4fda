import type { Id } from '#lib/api/types.ts';
import { RecentSearches } from '#lib/search/recent.svelte.ts';
import { forgetTold } from '#lib/stores/draft-sync.svelte.ts';

/** Somebody has signed out: of what they wrote this browser keeps what the server hasn't got, for when they are back. */
export function tidyAfter(userId: Id, storage: Storage | undefined): void {
  if (!storage) return;
  forgetTold(storage, userId);
  new RecentSearches(storage, userId).clear();
}
