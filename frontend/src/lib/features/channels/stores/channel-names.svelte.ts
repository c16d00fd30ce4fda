/** Names of channels to which messages link, including channels that the user has not joined. */
import { SvelteMap } from 'svelte/reactivity';
import type { App } from '#lib/app/app.ts';
import type { Conversation, Id } from '#lib/api/types.ts';
import { isChannel } from '#lib/features/conversations/kinds.ts';
import { perAccount } from '#lib/app/per-account.ts';

export class ChannelNamesStore {
  /** Channels that were requested because the user has not joined them. */
  readonly #others = new SvelteMap<Id, Conversation>();
  readonly #requested = new Set<Id>();
  readonly #api: Pick<App['api'], 'get'>;
  readonly #conversations: Pick<App['conversations'], 'get' | 'isLoaded'>;

  constructor({ api, conversations }: Pick<App, 'api' | 'conversations'>) {
    this.#api = api;
    this.#conversations = conversations;
  }

  /** Name of a channel. Undefined if it isn't loaded yet, isn't a channel, or the user can't see it. */
  nameOf(id: Id): string | undefined {
    const found = this.#conversations.get(id) ?? this.#others.get(id);
    if (!found && this.#conversations.isLoaded) queueMicrotask(() => void this.#load(id));
    return found && isChannel(found) ? (found.title ?? undefined) : undefined;
  }

  async #load(id: Id): Promise<void> {
    if (this.#requested.has(id)) return;
    this.#requested.add(id);
    try {
      this.#others.set(id, await this.#api.get(`/conversations/${id}`));
    } catch {
      // Without a name the link shows the text that its author wrote.
    }
  }
}

/** Names of channels for the current account. */
export const channelNamesOf = perAccount((app) => new ChannelNamesStore(app));
