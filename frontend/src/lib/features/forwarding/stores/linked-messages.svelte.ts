/** Linked messages, as far as the reader has access. */
import { SvelteMap } from 'svelte/reactivity';
import { ApiError, type Api } from '#lib/api/client.ts';
import type { Id, Message } from '#lib/api/types.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';
import { perAccount } from '#lib/app/per-account.ts';

/** Maximum number of cached messages. */
const MAX_CACHED = 200;

export class LinkedMessagesStore {
  readonly #known = new SvelteMap<Id, Message>();
  /** Request times, by message. */
  readonly #asked = new Map<Id, number>();
  readonly #api: Pick<Api, 'get'>;

  constructor(api: Pick<Api, 'get'>, live: LiveUpdates) {
    this.#api = api;
    live.on((frame) => {
      if (frame.type === 'message.updated' && this.#known.has(frame.payload.message.id))
        this.#known.set(frame.payload.message.id, frame.payload.message);
      else if (frame.type === 'message.deleted') this.#known.delete(frame.payload.message_id);
    });
    // Invalidated after a reconnect: messages may have been edited or deleted.
    live.onStale(this, () => this.#asked.clear());
  }

  /** Time of the first request; null if none. */
  get requestedAt(): number | null {
    return this.#asked.values().next().value ?? null;
  }

  /** Null while unknown and without access. */
  of(id: Id): Message | null {
    return this.#known.get(id) ?? null;
  }

  /** Loads a message once per connection. */
  async load(id: Id): Promise<void> {
    if (this.#asked.has(id)) return;
    this.#asked.set(id, Date.now());
    try {
      const message = await this.#api.get(`/messages/${id}`);
      if (message.deleted_at) this.#known.delete(id);
      else this.#known.set(id, message);
      this.#evict();
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) this.#known.delete(id);
      // Retried by the next view.
      else this.#asked.delete(id);
    }
  }

  #evict(): void {
    for (const id of [...this.#known.keys()].slice(0, -MAX_CACHED)) {
      this.#known.delete(id);
      this.#asked.delete(id);
    }
  }
}

/** Linked messages of the current account, created on first use. */
export const linkedMessagesOf = perAccount(({ api, connection }) => new LinkedMessagesStore(api, connection));
