import { SvelteMap, SvelteSet } from 'svelte/reactivity';
import type { Api } from '#lib/api/client.ts';
import type { SavedMessage } from '#lib/features/threads/api.ts';
import type { Id, Message } from '#lib/api/types.ts';
import { renameUser } from '#lib/realtime/user-rename.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';
import { perAccount } from '#lib/app/per-account.ts';

const PAGE_SIZE = 50;

export class BookmarksStore {
  readonly list: PagedResource<SavedMessage>;
  /** Ids of the messages in the loaded pages. */
  readonly #ids = new SvelteSet<Id>();
  /** Saved state by message id, for messages whose state differs from the loaded pages or that aren't in them. */
  readonly #savedOverrides = new SvelteMap<Id, boolean>();
  /** Number of invalidations. Responses to requests from before an invalidation are discarded. */
  #returns = 0;
  readonly #api: Api;

  constructor(api: Api, live: LiveUpdates) {
    this.#api = api;
    this.list = new PagedResource(
      async (page) => {
        const answer = await api.get('/saved', { page, page_size: PAGE_SIZE });
        if (page === 1) this.#ids.clear();
        for (const { message } of answer.items) this.#ids.add(message.id);
        return answer;
      },
      ({ message }) => message.id
    );
    live.on((frame) => {
      if (frame.type === 'saved.updated') this.#applyChange(frame.payload.message_id, frame.payload.saved);
      else if (frame.type === 'message.deleted') this.#remove(frame.payload.message_id);
      else if (frame.type === 'message.updated') this.#update(frame.payload.message);
      else if (frame.type === 'user.changed') this.list.change((items) => renameUser(items, frame.payload));
    });
    live.onStale(this.list, () => {
      this.#returns += 1;
      this.#savedOverrides.clear();
      void this.list.refresh();
    });
    void this.list.load();
  }

  has(id: Id): boolean {
    return this.#savedOverrides.get(id) ?? this.#ids.has(id);
  }

  /** Loads whether a message is saved. Needed only if it may be beyond the loaded pages. */
  async loadState(id: Id): Promise<void> {
    const isWhole = this.list.isKnown && !this.list.hasMore;
    if (isWhole || this.has(id) || this.#savedOverrides.has(id)) return;
    const returns = this.#returns;
    try {
      const { saved } = await this.#api.get(`/messages/${id}/saved`);
      if (returns === this.#returns && !this.#savedOverrides.has(id)) this.#savedOverrides.set(id, saved);
    } catch {
      // A failed request is retried by the next caller.
    }
  }

  async setSaved(id: Id, isSaved: boolean): Promise<void> {
    const path = `/messages/${id}/saved` as const;
    await (isSaved ? this.#api.put(path) : this.#api.delete(path));
    this.#applyChange(id, isSaved);
  }

  #applyChange(id: Id, isSaved: boolean): void {
    if (!isSaved) return this.#markUnsaved(id);
    if (this.has(id)) return;
    this.#savedOverrides.set(id, true);
    // The event contains only the id, so the message is loaded with the list.
    void this.list.refresh();
  }

  /** Updates the text of a saved message. */
  #update(message: Message): void {
    const have = this.list.items.find((one) => one.message.id === message.id);
    if (have) this.list.upsert({ ...have, message }, (one) => one === have);
  }

  #markUnsaved(id: Id): void {
    this.#savedOverrides.set(id, false);
    this.#removeFromList(id);
  }

  /** Removes a message that was deleted. */
  #remove(id: Id): void {
    this.#savedOverrides.delete(id);
    this.#removeFromList(id);
  }

  #removeFromList(id: Id): void {
    this.#ids.delete(id);
    this.list.remove(({ message }) => message.id === id);
  }
}

/** Saved messages of the current account, loaded when first used. */
export const savedOf = perAccount(({ api, connection }) => new BookmarksStore(api, connection));
