import type { Api } from '#lib/api/client.ts';
import type { ApiKey, KeyPolicy, KeyScope, NewApiKey } from '#lib/features/auth/api.ts';
import type { Id } from '#lib/api/types.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

export interface ApiKeyInput {
  name: string;
  scopes: KeyScope[];
  /** Lifetime in days; null for a key that doesn't expire. */
  days: number | null;
  policy?: KeyPolicy;
}

export type KeyChange = { name: string; days?: number | null } & Partial<KeyPolicy>;

const DAY = 86_400_000;

export class ApiKeysStore {
  readonly list: PagedResource<ApiKey>;
  /** Key that was just created, with its secret, which is shown only once. Null if there is none. */
  fresh = $state.raw<NewApiKey | null>(null);
  readonly #api: Api;
  readonly #now: () => number;

  constructor(api: Api, now: () => number = Date.now) {
    this.#api = api;
    this.#now = now;
    this.list = new PagedResource((page) => api.get('/api_keys', { page, page_size: 50 }));
  }

  async create({ name, scopes, days, policy }: ApiKeyInput): Promise<void> {
    const expires_at = this.#expiryAfter(days) ?? undefined;
    this.#show(await this.#api.post('/api_keys', { name, scopes, expires_at, ...policy }));
  }

  /** Changes a key. If `days` is omitted, the expiry stays. */
  async change(id: Id, { days, ...change }: KeyChange): Promise<void> {
    const end = days === undefined ? {} : { expires_at: this.#expiryAfter(days) };
    this.#upsert(await this.#api.patch(`/api_keys/${id}`, { ...change, ...end }));
  }

  /** Replaces the secret of a key; the old one stays valid for `graceSeconds`. */
  async rotate(id: Id, graceSeconds: number): Promise<void> {
    this.#show(await this.#api.post(`/api_keys/${id}/rotate`, { grace_seconds: graceSeconds }));
  }

  async revoke(id: Id): Promise<void> {
    await this.#api.delete(`/api_keys/${id}`);
    if (this.fresh?.id === id) this.fresh = null;
    this.list.remove((key) => key.id === id);
  }

  #expiryAfter(days: number | null): string | null {
    return days === null ? null : new Date(this.#now() + days * DAY).toISOString();
  }

  #show(made: NewApiKey): void {
    this.fresh = made;
    this.#upsert(made);
  }

  #upsert(key: ApiKey): void {
    this.list.upsert(key, ({ id }) => id === key.id);
  }
}
