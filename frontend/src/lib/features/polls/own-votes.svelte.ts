/** Own votes in polls, which messages don't contain. */
import { SvelteMap } from 'svelte/reactivity';
import type { Api } from '#lib/api/client.ts';
import type { Id } from '#lib/api/types.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';
import { perAccount } from '#lib/app/per-account.ts';

export class OwnVotesStore {
  readonly #choices = new SvelteMap<Id, readonly number[]>();
  /** Request times, by poll. */
  readonly #asked = new Map<Id, number>();
  /** Change counters; responses to earlier requests are stale. */
  readonly #changes = new Map<Id, number>();
  readonly #api: Pick<Api, 'get' | 'put'>;

  constructor(api: Pick<Api, 'get' | 'put'>, live: LiveUpdates) {
    this.#api = api;
    live.on((frame) => {
      if (frame.type === 'poll.own') this.#set(frame.payload.message_id, frame.payload.choices);
      else if (frame.type === 'message.deleted') this.#choices.delete(frame.payload.message_id);
    });
    // Another device may have voted.
    live.onStale(this, () => this.#asked.clear());
  }

  /** Time of the first request; null if none. */
  get requestedAt(): number | null {
    return this.#asked.values().next().value ?? null;
  }

  /** Undefined while unknown. */
  of(messageId: Id): readonly number[] | undefined {
    return this.#choices.get(messageId);
  }

  /** Loads a vote once per connection. */
  async load(messageId: Id): Promise<void> {
    if (this.#asked.has(messageId)) return;
    this.#asked.set(messageId, Date.now());
    const changes = this.#changes.get(messageId);
    try {
      const { choices } = await this.#api.get(`/messages/${messageId}/vote`);
      if (this.#changes.get(messageId) === changes) this.#set(messageId, choices);
    } catch {
      // Retried by the next view.
      this.#asked.delete(messageId);
    }
  }

  /** Votes optimistically. */
  async vote(messageId: Id, choices: readonly number[]): Promise<void> {
    const before = this.#choices.get(messageId);
    this.#set(messageId, choices);
    try {
      await this.#api.put(`/messages/${messageId}/vote`, { choices });
    } catch (error) {
      if (before) this.#set(messageId, before);
      else {
        this.#choices.delete(messageId);
        // Reloaded by the next view.
        this.#asked.delete(messageId);
      }
      throw error;
    }
  }

  #set(messageId: Id, choices: readonly number[]): void {
    this.#choices.set(messageId, choices);
    this.#changes.set(messageId, (this.#changes.get(messageId) ?? 0) + 1);
  }

  async close(messageId: Id): Promise<void> {
    await this.#api.put(`/messages/${messageId}/closed`);
  }
}

/** Own votes of the current account, created on first use. */
export const ownVotesOf = perAccount(({ api, connection }) => new OwnVotesStore(api, connection));
