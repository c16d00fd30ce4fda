import type { Api } from '#lib/api/client.ts';
import type { ApiKey, KeyScope, NewApiKey } from '#lib/api/identity.ts';
import type { Id } from '#lib/api/types.ts';
import { Listing } from './listing.svelte.ts';

export interface KeyWish {
  name: string;
  scopes: KeyScope[];
  /** Null: it does not run out. */
  days: number | null;
}

const DAY = 86_400_000;

/** Keys by which programs act for this account. */
export class ApiKeys {
  readonly list: Listing<ApiKey>;
  /** The one that was just made: the only time that it can be read. */
  fresh = $state.raw<NewApiKey | null>(null);
  readonly #api: Api;
  readonly #now: () => number;

  constructor(api: Api, now: () => number = Date.now) {
    this.#api = api;
    this.#now = now;
    this.list = new Listing((page) => api.get('/api_keys', { page, page_size: 50 }));
  }

  async create({ name, scopes, days }: KeyWish): Promise<void> {
    const expires_at = days === null ? undefined : new Date(this.#now() + days * DAY).toISOString();
    const made = await this.#api.post<NewApiKey>('/api_keys', { name, scopes, expires_at });
    this.fresh = made;
    this.list.put(made, ({ id }) => id === made.id);
  }

  async revoke(id: Id): Promise<void> {
    await this.#api.delete(`/api_keys/${id}`);
    if (this.fresh?.id === id) this.fresh = null;
    this.list.drop((key) => key.id === id);
  }
}
