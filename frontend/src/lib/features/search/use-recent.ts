import { useApp } from '#lib/app/app.ts';
import { persistentStorage } from '#lib/util/browser-storage.ts';
import { RecentSearchesStore } from './recent-searches.svelte.ts';

/** Recent searches of the current account. */
export function useRecent(): RecentSearchesStore {
  const { session } = useApp();
  return new RecentSearchesStore(persistentStorage, session.account?.id ?? '');
}
