/** Messages to which texts link, if the reader has access to them. */
import { SvelteMap } from 'svelte/reactivity';
import { ApiError, type Api } from '#lib/api/client.ts';
import type { Id, Message } from '#lib/api/types.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';
import { perAccount } from '#lib/app/per-account.ts';

/** Maximum number of messages that are kept. */
const MAX_CACHED = 200;

export class LinkedMessagesStore {
  readonly #known = new SvelteMap<Id, Message>();
  /** Time of the last request for each message. */
  readonly #requestedAt = new Map<Id, number>();
  readonly #api: Pick<Api, 'get'>;

  constructor(api: Pick<Api, 'get'>, live: LiveUpdates) {
    this.#api = api;
    live.on((frame) => {
      if (frame.type === 'message.updated' && this.#known.has(frame.payload.message.id))
        this.#known.set(frame.payload.message.id, frame.payload.message);
      else if (frame.type === 'message.deleted') this.#known.delete(frame.payload.message_id);
    });
    // While disconnected, messages may have been edited or deleted, so they are requested again when they are shown.
    live.onStale(this, () => this.#requestedAt.clear());
  }

  /** Time of the first request; null if there was none. */
  get requestedAt(): number | null {
    return this.#requestedAt.values().next().value ?? null;
  }

  /** Returns a message; null if it isn't loaded or the reader has no access. */
  of(id: Id): Message | null {
    return this.#known.get(id) ?? null;
  }

  /** Loads a message, at most once per connection. */
  async load(id: Id): Promise<void> {
    if (this.#requestedAt.has(id)) return;
    this.#requestedAt.set(id, Date.now());
    try {
      const message = await this.#api.get(`/messages/${id}`);
      if (message.deleted_at) this.#known.delete(id);
      else this.#known.set(id, message);
      this.#evict();
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) this.#known.delete(id);
      // The request is repeated when the link is shown again.
      else this.#requestedAt.delete(id);
    }
  }

  #evict(): void {
    for (const id of [...this.#known.keys()].slice(0, -MAX_CACHED)) {
      this.#known.delete(id);
      this.#requestedAt.delete(id);
    }
  }
}

/** Linked messages for the current account, created when first used. */
export const linkedMessagesOf = perAccount(({ api, connection }) => new LinkedMessagesStore(api, connection));
