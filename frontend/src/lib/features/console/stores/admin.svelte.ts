import type { FilterOf } from '#lib/api/calls.ts';
import type { Api } from '#lib/api/client.ts';
import type { AuditEntry, Ban, BanWish } from '#lib/features/auth/api.ts';
import type { Id } from '#lib/api/types.ts';
import { Listing } from '#lib/api/paged-resource.svelte.ts';

const PAGE_SIZE = 50;

/** Which bans; empty: all. */
export type BanFilter = FilterOf<'/admin/bans'>;

/** Addresses that are kept out. */
export class Bans {
  readonly list: Listing<Ban>;
  readonly #api: Api;
  #filter: BanFilter = {};

  constructor(api: Api) {
    this.#api = api;
    this.list = new Listing((page) => api.get('/admin/bans', { ...this.#filter, page, page_size: PAGE_SIZE }));
  }

  /** Only these. */
  find(filter: BanFilter): void {
    this.#filter = filter;
    void this.list.load();
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

/** Which lines of the log; empty: all. */
export type AuditFilter = FilterOf<'/admin/audit_log'>;

/** Who did what to whom, newest first. */
export class AuditLog {
  readonly list: Listing<AuditEntry>;
  #filter: AuditFilter = {};

  constructor(api: Api) {
    this.list = new Listing((page) => api.get('/admin/audit_log', { ...this.#filter, page, page_size: PAGE_SIZE }));
  }

  /** Only these. */
  find(filter: AuditFilter): void {
    this.#filter = filter;
    void this.list.load();
  }

  /** Where the same is had as a table. */
  get path(): string {
    const given = Object.entries(this.#filter).filter((entry): entry is [string, string] => !!entry[1]);
    return `/admin/audit_log/export?${new URLSearchParams(given)}`;
  }
}
