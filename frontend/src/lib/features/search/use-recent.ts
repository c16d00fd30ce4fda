import { useApp } from '#lib/app/app.ts';
import { RecentSearchesStore } from './recent-searches.svelte.ts';

/** Recent searches of the current account. */
export function useRecent(): RecentSearchesStore {
  const { session } = useApp();
  return new RecentSearchesStore(storage(), session.account?.id ?? '');
}

/** Local storage; undefined if the browser blocks it. */
function storage(): Storage | undefined {
  try {
    return localStorage;
  } catch {
    return undefined;
  }
}
