import { useApp } from '#lib/app/app.ts';
import { RecentSearchesStore } from './recent-searches.svelte.ts';

/** The last searches of whoever is signed in. */
export function useRecent(): RecentSearchesStore {
  const { session } = useApp();
  return new RecentSearchesStore(storage(), session.account?.id ?? '');
}

/** A browser may forbid it. */
function storage(): Storage | undefined {
  try {
    return localStorage;
  } catch {
    return undefined;
  }
}
