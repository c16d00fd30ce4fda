import { SvelteMap } from 'svelte/reactivity';
import { ApiError } from '#lib/api/client.ts';
import type { Id } from '#lib/api/types.ts';
import type { App } from '#lib/app/app.ts';

type Source = {
  readonly api: Pick<App['api'], 'get'>;
  readonly session: { readonly account: App['session']['account'] };
};

/** Names of people and, for admins, of service accounts. Each is loaded once. */
export class NamesStore {
  /** Names by id; null for an account that was deleted. */
  readonly #names = new SvelteMap<Id, string | null>();
  readonly #requested = new Set<Id>();
  readonly #source: Source;

  constructor(source: Source) {
    this.#source = source;
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
      this.#names.set(id, await this.#read(id));
    } catch (error) {
      if (isMissing(error)) this.#names.set(id, null);
      // Requested again with the next list.
      else this.#requested.delete(id);
    }
  }

  async #read(id: Id): Promise<string> {
    const { api, session } = this.#source;
    // Other users see only people with whom they share a workspace.
    if (session.account?.role !== 'admin') return (await api.get(`/users/${id}`)).display_name;
    try {
      return (await api.get(`/admin/users/${id}`)).display_name;
    } catch (error) {
      if (!isMissing(error)) throw error;
      return (await api.get(`/admin/service_accounts/${id}`)).name;
    }
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}
