import type { Api } from '#lib/api/client.ts';
import type { ApiKey, KeyPolicy, KeyScope, NewApiKey } from '#lib/features/auth/api.ts';
import type { Id } from '#lib/api/types.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

export interface ApiKeyInput {
  name: string;
  /** Permissions; keys of a service account have a fixed one. */
  scopes: KeyScope[];
  /** Lifetime in days; null for a key that doesn't expire. */
  days: number | null;
  policy?: KeyPolicy;
}

export type KeyChange = { name: string; days?: number | null } & Partial<KeyPolicy>;

const DAY = 86_400_000;

/** API keys of the signed-in person, or of a service account for admins. */
export class ApiKeysStore {
  readonly list: PagedResource<ApiKey>;
  /** Key that was just created, with its secret, which is shown only once. Null if there is none. */
  fresh = $state.raw<NewApiKey | null>(null);
  /** Id of the service account; undefined for the keys of the signed-in person. */
  readonly account: Id | undefined;
  readonly #api: Api;
  readonly #now: () => number;

  constructor(api: Api, account?: Id, now: () => number = Date.now) {
    this.#api = api;
    this.account = account;
    this.#now = now;
    this.list = new PagedResource((page) => api.get(this.#path, { page, page_size: 50 }));
  }

  get #path() {
    return this.account === undefined
      ? ('/api_keys' as const)
      : (`/admin/service_accounts/${this.account}/api_keys` as const);
  }

  async create({ name, scopes, days, policy }: ApiKeyInput): Promise<void> {
    const expires_at = this.#expiryAfter(days) ?? undefined;
    const input = { name, expires_at, ...policy };
    this.#show(
      await (this.account === undefined
        ? this.#api.post('/api_keys', { ...input, scopes })
        : this.#api.post(`/admin/service_accounts/${this.account}/api_keys`, input))
    );
  }

  /** Changes a key. If `days` is omitted, the expiry stays. */
  async change(id: Id, { days, ...change }: KeyChange): Promise<void> {
    const end = days === undefined ? {} : { expires_at: this.#expiryAfter(days) };
    this.#upsert(await this.#api.patch(`${this.#path}/${id}`, { ...change, ...end }));
  }

  /** Replaces the secret of a key; the old one stays valid for `graceSeconds`. */
  async rotate(id: Id, graceSeconds: number): Promise<void> {
    this.#show(await this.#api.post(`${this.#path}/${id}/rotate`, { grace_seconds: graceSeconds }));
  }

  async revoke(id: Id): Promise<void> {
    await this.#api.delete(`${this.#path}/${id}`);
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
