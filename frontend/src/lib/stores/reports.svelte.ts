import type { Api } from '#lib/api/client.ts';
import type { Report, ReportDeed, ReportDetails, ReportReason, ReportStatus } from '#lib/api/moderation.ts';
import type { Id } from '#lib/api/types.ts';
import { Asked } from './asked.svelte.ts';
import { Listing } from './listing.svelte.ts';

const PAGE_SIZE = 50;

export interface ReportFilter {
  status: ReportStatus | undefined;
  reason: ReportReason | undefined;
}

/** Messages that people have reported. */
export class Reports {
  readonly list: Listing<Report>;
  readonly #api: Api;
  #filter: ReportFilter = { status: undefined, reason: undefined };

  constructor(api: Api) {
    this.#api = api;
    this.list = new Listing((page) => api.get('/admin/reports', { ...this.#filter, page, page_size: PAGE_SIZE }));
  }

  /** Only these. */
  find(filter: ReportFilter): void {
    this.#filter = filter;
    void this.list.load();
  }

  details(id: Id): Asked<ReportDetails> {
    return new Asked(() => this.#api.get<ReportDetails>(`/admin/reports/${id}`));
  }

  async take(id: Id): Promise<void> {
    await this.#do(`/admin/reports/${id}/take`);
  }

  async release(id: Id): Promise<void> {
    await this.#do(`/admin/reports/${id}/release`);
  }

  /** Without deeds it is dismissed. */
  async resolve(id: Id, deeds: readonly ReportDeed[], words: string): Promise<void> {
    await this.#do(`/admin/reports/${id}/resolve`, { deeds, words: words === '' ? undefined : words });
  }

  /** Hides a message, or shows it again. */
  async hide(messageId: Id, isHidden: boolean): Promise<void> {
    await this.#do(`/admin/messages/${messageId}/${isHidden ? 'hide' : 'restore'}`);
  }

  async #do(path: string, body: object = {}): Promise<void> {
    await this.#api.post(path, body);
    await this.list.load(this.list.page || 1);
  }
}
