import { useApp } from '#lib/app.ts';
import { RecentSearches } from '#lib/search/recent.svelte.ts';

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
