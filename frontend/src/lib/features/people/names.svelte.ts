import { SvelteMap } from 'svelte/reactivity';
import type { Api } from '#lib/api/client.ts';
import type { Id } from '#lib/api/types.ts';

/** Names of accounts, each of which is loaded once. */
export class NamesStore {
  /** Names by id; null for an account that was deleted. */
  readonly #names = new SvelteMap<Id, string | null>();
  readonly #requested = new Set<Id>();
  readonly #api: Pick<Api, 'get'>;

  constructor(api: Pick<Api, 'get'>) {
    this.#api = api;
  }

  /** Name of an account; null if it was deleted, undefined while it isn't loaded. */
  of(id: Id): string | null | undefined {
    return this.#names.get(id);
  }

  load(ids: readonly Id[]): void {
    for (const id of ids) if (!this.#requested.has(id)) void this.#find(id);
  }

  async #find(id: Id): Promise<void> {
    this.#requested.add(id);
    try {
      this.#names.set(id, (await this.#api.get(`/users/${id}`)).display_name);
    } catch {
      this.#names.set(id, null);
    }
  }
}
