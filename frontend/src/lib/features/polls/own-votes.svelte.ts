/** The user's votes in polls, which the messages of the polls don't contain. */
import { SvelteMap } from 'svelte/reactivity';
import type { Api } from '#lib/api/client.ts';
import type { Id } from '#lib/api/types.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';
import { perAccount } from '#lib/app/per-account.ts';

export class OwnVotesStore {
  readonly #choices = new SvelteMap<Id, readonly number[]>();
  /** Time of the last request for each poll. */
  readonly #requestedAt = new Map<Id, number>();
  /** Number of changes of each poll's votes. A response is ignored if there was a change after its request. */
  readonly #changes = new Map<Id, number>();
  readonly #api: Pick<Api, 'get' | 'put'>;

  constructor(api: Pick<Api, 'get' | 'put'>, live: LiveUpdates) {
    this.#api = api;
    live.on((frame) => {
      if (frame.type === 'poll.own') this.#set(frame.payload.message_id, frame.payload.choices);
      else if (frame.type === 'message.deleted') this.#choices.delete(frame.payload.message_id);
    });
    // The user may have voted on another device while this one was disconnected.
    live.onStale(this, () => this.#requestedAt.clear());
  }

  /** Time of the first request; null if there was none. */
  get requestedAt(): number | null {
    return this.#requestedAt.values().next().value ?? null;
  }

  /** Chosen options of a poll; undefined if they aren't loaded. */
  of(messageId: Id): readonly number[] | undefined {
    return this.#choices.get(messageId);
  }

  /** Loads the votes in a poll, at most once per connection. */
  async load(messageId: Id): Promise<void> {
    if (this.#requestedAt.has(messageId)) return;
    this.#requestedAt.set(messageId, Date.now());
    const changes = this.#changes.get(messageId);
    try {
      const { choices } = await this.#api.get(`/messages/${messageId}/vote`);
      if (this.#changes.get(messageId) === changes) this.#set(messageId, choices);
    } catch {
      // Requested again when the poll is shown next.
      this.#requestedAt.delete(messageId);
    }
  }

  /** Votes. The vote is shown at once and reverted if the server rejects it. */
  async vote(messageId: Id, choices: readonly number[]): Promise<void> {
    const before = this.#choices.get(messageId);
    this.#set(messageId, choices);
    try {
      await this.#api.put(`/messages/${messageId}/vote`, { choices });
    } catch (error) {
      if (before) this.#set(messageId, before);
      else {
        this.#choices.delete(messageId);
        // The vote from before isn't known, so it is requested when the poll is shown next.
        this.#requestedAt.delete(messageId);
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

/** Votes of the current account, created when first used. */
export const ownVotesOf = perAccount(({ api, connection }) => new OwnVotesStore(api, connection));
