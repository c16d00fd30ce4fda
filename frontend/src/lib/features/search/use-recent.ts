import { useApp } from '#lib/app/app.ts';
import { RecentSearches } from './recent-searches.svelte.ts';

/** The last searches of whoever is signed in. */
export function useRecent(): RecentSearches {
  const { session } = useApp();
  return new RecentSearches(storage(), session.account?.id ?? '');
}

/** A browser may forbid it. */
function storage(): Storage | undefined {
  try {
    return localStorage;
  } catch {
    return undefined;
  }
}
