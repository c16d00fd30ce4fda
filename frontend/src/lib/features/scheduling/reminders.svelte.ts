/** Reminders of the user, by message. */
import type { Api } from '#lib/api/client.ts';
import type { Reminder } from './api.ts';
import type { Id } from '#lib/api/types.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';
import { perAccount } from '#lib/app/per-account.ts';

const PAGE_SIZE = 100;

export class RemindersStore {
  readonly list: PagedResource<Reminder>;
  readonly #api: Api;

  constructor(api: Api, live: LiveUpdates) {
    this.#api = api;
    this.list = new PagedResource((page) => api.get('/reminders', { page, page_size: PAGE_SIZE }));
    live.onStale(this.list, () => void this.list.refresh());
    // Reloads the list if a reminder was changed on another device or has become due.
    live.on(({ type }: { type: string }) => {
      if ((type === 'reminders.own' || type === 'resync') && this.list.isKnown) void this.list.refresh();
    });
  }

  async create(messageId: Id, at: string, note: string): Promise<void> {
    const body = { at, ...(note && { note }) };
    const reminder = await this.#api.post(`/messages/${messageId}/reminders`, body);
    this.list.upsert(
      reminder,
      ({ id }) => id === reminder.id,
      (a, b) => a.at.localeCompare(b.at)
    );
  }

  async remove(id: Id): Promise<void> {
    await this.#api.delete(`/reminders/${id}`);
    this.list.remove((one) => one.id === id);
  }
}

/** Reminders for the current account. */
export const remindersOf = perAccount(({ api, connection }) => new RemindersStore(api, connection));
