/** The messages that one keeps for oneself. */
import { SvelteMap, SvelteSet } from 'svelte/reactivity';
import type { Api } from '#lib/api/client.ts';
import type { SavedMessage } from '#lib/api/threads.ts';
import type { Id, Message, Page } from '#lib/api/types.ts';
import type { Line } from './line.ts';
import { Listing } from './listing.svelte.ts';
import { perAccount } from './per-account.ts';

const PAGE_SIZE = 50;

export class Saved {
  readonly list: Listing<SavedMessage>;
  /** As far as they are known: those of the pages that were read. */
  readonly #ids = new SvelteSet<Id>();
  /** What was done or told since; a page that was on its way then doesn’t know of it. */
  readonly #told = new SvelteMap<Id, boolean>();
  readonly #api: Api;

  constructor(api: Api, line: Line) {
    this.#api = api;
    this.list = new Listing(
      async (page) => {
        const answer = await api.get<Page<SavedMessage>>('/saved', { page, page_size: PAGE_SIZE });
        for (const { message } of answer.items) this.#ids.add(message.id);
        return answer;
      },
      ({ message }) => message.id
    );
    line.on((frame) => {
      if (frame.type === 'saved.updated') this.#hear(frame.payload.message_id, frame.payload.saved);
      else if (frame.type === 'message.deleted') this.#forget(frame.payload.message_id);
      else if (frame.type === 'message.updated') this.#update(frame.payload.message);
    });
    line.onReturn(this.list, () => {
      this.#told.clear();
      void this.list.load();
    });
    void this.list.load();
  }

  has(id: Id): boolean {
    return this.#told.get(id) ?? this.#ids.has(id);
  }

  async keep(id: Id, isSaved: boolean): Promise<void> {
    await this.#api[isSaved ? 'put' : 'delete'](`/messages/${id}/saved`);
    this.#hear(id, isSaved);
  }

  #hear(id: Id, isSaved: boolean): void {
    if (!isSaved) return this.#drop(id);
    if (this.has(id)) return;
    this.#told.set(id, true);
    // The message itself is read with the list.
    void this.list.load();
  }

  /** One of them has another text. */
  #update(message: Message): void {
    const have = this.list.items.find((one) => one.message.id === message.id);
    if (have) this.list.put({ ...have, message }, (one) => one === have);
  }

  #drop(id: Id): void {
    this.#told.set(id, false);
    this.#take(id);
  }

  /** There is no such message any more. */
  #forget(id: Id): void {
    this.#told.delete(id);
    this.#take(id);
  }

  #take(id: Id): void {
    this.#ids.delete(id);
    this.list.drop(({ message }) => message.id === id);
  }
}

/** Those of whoever is signed in; asked for when somebody first wants to know. */
export const savedOf = perAccount(({ api, connection }) => new Saved(api, connection));
