/** Number of threads with unread replies among those that the user follows. */
import { isDurable } from '#lib/realtime/frames.ts';
import type { Api } from '#lib/api/client.ts';
import type { DurableFrame, Id, Message, ServerFrame } from '#lib/api/types.ts';
import { isMentioned } from '#lib/features/conversations/mention-check.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';

/** Maximum number of threads that are loaded. */
const MAX_REMEMBERED = 50;
/** Delay in milliseconds before a reload, so that several events cause a single one. A random part spreads the requests of many clients. */
const BATCH_DELAY = 700;
const MAX_JITTER = 600;

export class UnreadThreadsStore {
  #unread = $state.raw<ReadonlyMap<Id, number>>(new Map());
  readonly #api: Api;
  readonly #me: () => Id | undefined;
  /** Whether a message is known to be one of the user's. */
  readonly #isOwn: (conversationId: Id, messageId: Id) => boolean;
  #requestedAt: number | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(api: Api, me: () => Id | undefined, isOwn: (conversationId: Id, messageId: Id) => boolean) {
    this.#api = api;
    this.#me = me;
    this.#isOwn = isOwn;
  }

  get count(): number {
    let count = 0;
    for (const unread of this.#unread.values()) if (unread > 0) count++;
    return count;
  }

  /** Time of the last request; null if never requested, -Infinity if it failed. */
  get requestedAt(): number | null {
    return this.#requestedAt;
  }

  listen(live: LiveUpdates): () => void {
    const leave = [live.on((frame) => this.#handleFrame(frame)), live.onStale(this, () => this.#scheduleReload())];
    this.#scheduleReload();
    return () => {
      clearTimeout(this.#timer);
      for (const one of leave) one();
    };
  }

  async load(): Promise<void> {
    this.#requestedAt = Date.now();
    try {
      const { items } = await this.#api.get('/threads', { filter: 'all', page_size: MAX_REMEMBERED });
      this.#unread = new Map(items.map(({ root, unread }) => [root.id, unread]));
    } catch {
      // The next connection or reply tries again.
      this.#requestedAt = -Infinity;
    }
  }

  #handleFrame(frame: ServerFrame): void {
    if (frame.type === 'thread.own') {
      const { message_id, following, unread } = frame.payload;
      const known = new Map(this.#unread);
      if (following) known.set(message_id, unread);
      else known.delete(message_id);
      this.#unread = known;
    } else if (isDurable(frame) && this.#changesUnread(frame)) {
      this.#scheduleReload();
    }
  }

  /** Whether an event is a reply that may be unread, or its deletion. */
  #changesUnread(frame: DurableFrame): boolean {
    if (frame.type === 'message.created') return this.#concerns(frame.payload.message);
    if (frame.type !== 'message.deleted') return false;
    const { message_id, thread_id } = frame.payload;
    return this.#unread.has(message_id) || (!!thread_id && this.#unread.has(thread_id));
  }

  /** Whether a reply may change the number of unread ones: the user follows the thread, or starts to by this reply. */
  #concerns({ thread_id, conversation_id, mentions, sender }: Message): boolean {
    if (!thread_id) return false;
    const me = this.#me() ?? null;
    return (
      sender.id === me ||
      this.#unread.has(thread_id) ||
      isMentioned(mentions ?? [], me) ||
      this.#isOwn(conversation_id, thread_id)
    );
  }

  #scheduleReload(): void {
    this.#timer ??= setTimeout(
      () => {
        this.#timer = undefined;
        void this.load();
      },
      BATCH_DELAY + Math.random() * MAX_JITTER
    );
  }
}
