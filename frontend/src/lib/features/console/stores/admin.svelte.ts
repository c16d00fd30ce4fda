import type { FilterOf } from '#lib/api/calls.ts';
import type { Api } from '#lib/api/client.ts';
import type { AuditEntry, Ban, BanInput } from '#lib/features/auth/api.ts';
import type { Id } from '#lib/api/types.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

const PAGE_SIZE = 50;

/** Filter of the list of bans. */
export type BanFilter = FilterOf<'/admin/bans'>;

/** Banned addresses. */
export class BansStore {
  readonly list: PagedResource<Ban>;
  readonly #api: Api;
  #filter: BanFilter = {};

  constructor(api: Api) {
    this.#api = api;
    this.list = new PagedResource((page) => api.get('/admin/bans', { ...this.#filter, page, page_size: PAGE_SIZE }));
  }

  find(filter: BanFilter): void {
    this.#filter = filter;
    void this.list.load();
  }

  async add(input: BanInput): Promise<void> {
    await this.#api.post('/admin/bans', input);
    await this.list.load();
  }

  async lift(id: Id): Promise<void> {
    await this.#api.delete(`/admin/bans/${id}`);
    await this.list.load(this.list.items.length === 1 ? Math.max(1, this.list.page - 1) : this.list.page);
  }
}

export type AuditFilter = FilterOf<'/admin/audit_log'>;

/** Audit log, newest first. */
export class AuditLogStore {
  readonly list: PagedResource<AuditEntry>;
  #filter: AuditFilter = {};

  constructor(api: Api) {
    this.list = new PagedResource((page) =>
      api.get('/admin/audit_log', { ...this.#filter, page, page_size: PAGE_SIZE })
    );
  }

  find(filter: AuditFilter): void {
    this.#filter = filter;
    void this.list.load();
  }

  /** URL of the CSV export with the current filter. */
  get path(): string {
    const given = Object.entries(this.#filter).filter((entry): entry is [string, string] => !!entry[1]);
    return `/admin/audit_log/export?${new URLSearchParams(given)}`;
  }
}
