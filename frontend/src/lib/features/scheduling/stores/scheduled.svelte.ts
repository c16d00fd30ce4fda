/** Scheduled messages of the user. */
import type { Api } from '#lib/api/client.ts';
import type { Scheduled } from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';
import { perAccount } from '#lib/app/per-account.ts';

/** Largest page that the server returns. */
const PAGE_SIZE = 200;

export class ScheduledMessagesStore {
  readonly list: PagedResource<Scheduled>;
  readonly #api: Api;

  constructor(api: Api, live: LiveUpdates) {
    this.#api = api;
    this.list = new PagedResource(
      (page) => api.get('/scheduled', { page, page_size: PAGE_SIZE }),
      ({ id }) => id
    );
    live.on((frame) => {
      if (frame.type !== 'scheduled.updated') return;
      const { id, scheduled } = frame.payload;
      if (scheduled) this.#upsert(scheduled);
      else this.list.remove((one) => one.id === id);
    });
    live.onStale(this.list, () => void this.list.refresh());
    void this.list.load();
  }

  /** Scheduled messages of a conversation, or of the thread with the first message `rootId`. */
  in(conversationId: Id, rootId: Id | null): Scheduled[] {
    return this.list.items.filter((one) => one.conversation_id === conversationId && one.thread_id === rootId);
  }

  async change(id: Id, change: { content?: string; send_at?: string }): Promise<void> {
    this.#upsert(await this.#api.patch(`/scheduled/${id}`, change));
  }

  async sendNow(id: Id): Promise<void> {
    await this.#api.post(`/scheduled/${id}/send`);
    this.list.remove((one) => one.id === id);
  }

  async cancel(id: Id): Promise<void> {
    await this.#api.delete(`/scheduled/${id}`);
    this.list.remove((one) => one.id === id);
  }

  #upsert(scheduled: Scheduled): void {
    this.list.upsert(
      scheduled,
      ({ id }) => id === scheduled.id,
      (a, b) => a.send_at.localeCompare(b.send_at)
    );
  }
}

/** Scheduled messages for the current account. */
export const scheduledOf = perAccount(({ api, connection }) => new ScheduledMessagesStore(api, connection));
