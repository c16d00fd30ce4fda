import { untrack } from 'svelte';
import { ApiError } from '#lib/api/client.ts';
import { useApp } from '#lib/app/app.ts';
import type { PagedResource } from '#lib/api/paged-resource.svelte.ts';

/** Repeats a failed request when the connection is back. */
export function useRetryOnReconnect(listing: () => Pick<PagedResource<unknown>, 'error' | 'retry'>): void {
  const { connection } = useApp();

  $effect(() => {
    if (!connection.ready) return;
    untrack(() => {
      const { error } = listing();
      if (error instanceof ApiError && (error.isNetwork || error.status === 503)) void listing().retry();
    });
  });
}
