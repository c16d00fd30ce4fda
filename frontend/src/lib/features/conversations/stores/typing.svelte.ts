import { SvelteMap } from 'svelte/reactivity';
import type { ServerFrame } from '#lib/api/types.ts';

interface TypingConnection {
  on(handler: (frame: ServerFrame) => void): () => void;
  notify(type: string, payload: unknown): void;
}

const SAY_EVERY = 3_000;
const EXPIRES_AFTER = 6_000;

/** Typing indicators: shows who is typing in which conversation, and reports when the user types. */
export class TypingStore {
  readonly #writers = new SvelteMap<string, readonly string[]>();
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #saidAt = new Map<string, number>();
  readonly #live: TypingConnection;
  readonly #leave: () => void;

  constructor(live: TypingConnection) {
    this.#live = live;
    this.#leave = live.on((frame) => {
      if (frame.type === 'typing')
        this.#applyTyping(frame.payload.conversation_id, frame.payload.user_id, frame.payload.active);
      if (frame.type === 'message.created' && frame.payload.message.sender.id) {
        this.#applyTyping(frame.payload.conversation_id, frame.payload.message.sender.id, false);
      }
    });
  }

  /** Ids of the people who are typing in a conversation. */
  in(conversationId: string): readonly string[] {
    return this.#writers.get(conversationId) ?? [];
  }

  /** Reports that the user is typing. Called for each change of the text. */
  reportTyping(conversationId: string): void {
    const now = Date.now();
    if (now - (this.#saidAt.get(conversationId) ?? -Infinity) < SAY_EVERY) return;
    this.#saidAt.set(conversationId, now);
    this.#live.notify('typing', { conversation_id: conversationId, active: true });
  }

  /** Reports that the user isn't typing any more, because the text was sent or deleted. */
  stop(conversationId: string): void {
    if (!this.#saidAt.delete(conversationId)) return;
    this.#live.notify('typing', { conversation_id: conversationId, active: false });
  }

  close(): void {
    this.#leave();
    this.clear();
  }

  /** Clears all indicators. Called when the connection is lost, because then it is unknown who types. */
  clear(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#writers.clear();
    this.#saidAt.clear();
  }

  #applyTyping(conversationId: string, userId: string, active: boolean): void {
    const key = `${conversationId}/${userId}`;
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
    const others = this.in(conversationId).filter((other) => other !== userId);
    if (active) {
      this.#writers.set(conversationId, [...others, userId]);
      this.#timers.set(
        key,
        setTimeout(() => this.#applyTyping(conversationId, userId, false), EXPIRES_AFTER)
      );
    } else if (others.length > 0) this.#writers.set(conversationId, others);
    else this.#writers.delete(conversationId);
  }
}
