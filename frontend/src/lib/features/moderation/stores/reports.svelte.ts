import type { FilterOf } from '#lib/api/calls.ts';
import type { Api } from '#lib/api/client.ts';
import type { Report, ReportAction, ReportDetails } from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import { Resource } from '#lib/api/resource.svelte.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

const PAGE_SIZE = 50;

export type ReportFilter = FilterOf<'/admin/reports'>;

/** Reports of messages, for moderators. */
export class ReportsStore {
  readonly list: PagedResource<Report>;
  readonly #api: Api;
  #filter: ReportFilter = { status: undefined, reason: undefined };

  constructor(api: Api) {
    this.#api = api;
    this.list = new PagedResource((page) => api.get('/admin/reports', { ...this.#filter, page, page_size: PAGE_SIZE }));
  }

  find(filter: ReportFilter): void {
    this.#filter = filter;
    void this.list.load();
  }

  details(id: Id): Resource<ReportDetails> {
    return new Resource(() => this.#api.get(`/admin/reports/${id}`));
  }

  async assign(id: Id): Promise<void> {
    await this.#api.post(`/admin/reports/${id}/take`, {});
    await this.#reload();
  }

  async release(id: Id): Promise<void> {
    await this.#api.post(`/admin/reports/${id}/release`, {});
    await this.#reload();
  }

  /** Resolves a report. Without actions it is dismissed. */
  async resolve(id: Id, actions: readonly ReportAction[], words: string): Promise<void> {
    await this.#api.post(`/admin/reports/${id}/resolve`, { actions, words: words === '' ? undefined : words });
    await this.#reload();
  }

  /** Hides a message, or shows it again. */
  async hide(messageId: Id, isHidden: boolean): Promise<void> {
    await this.#api.post(`/admin/messages/${messageId}/${isHidden ? 'hide' : 'restore'}`, {});
    await this.#reload();
  }

  #reload(): Promise<void> {
    return this.list.load(this.list.page || 1);
  }
}
