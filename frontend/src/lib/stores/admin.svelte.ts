import type { Api } from '#lib/api/client.ts';
import type { AuditEntry, Ban } from '#lib/api/identity.ts';
import type { Id } from '#lib/api/types.ts';
import { Listing } from './listing.svelte.ts';

const PAGE_SIZE = 50;

export interface BanWish {
  address: string;
  seconds: number;
  reason: string;
}

/** Addresses that are kept out. */
export class Bans {
  readonly list: Listing<Ban>;
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
    this.list = new Listing((page) => api.get('/admin/bans', { page, page_size: PAGE_SIZE }));
  }

  async add(wish: BanWish): Promise<void> {
    await this.#api.post('/admin/bans', wish);
    await this.list.load();
  }

  async lift(id: Id): Promise<void> {
    await this.#api.delete(`/admin/bans/${id}`);
    await this.list.load(this.list.items.length === 1 ? Math.max(1, this.list.page - 1) : this.list.page);
  }
}

/** Who did what to whom, newest first. */
export class AuditLog {
  readonly list: Listing<AuditEntry>;
  #action = $state('');

  constructor(api: Api) {
    this.list = new Listing((page) =>
      api.get('/admin/audit_log', {
        page,
        page_size: PAGE_SIZE,
        action: this.#action === '' ? undefined : this.#action
      })
    );
  }

  /** Only entries of this kind; empty: all. */
  get action(): string {
    return this.#action;
  }

  set action(action: string) {
    if (action === this.#action) return;
    this.#action = action;
    void this.list.load();
  }
}
