import { SvelteMap } from 'svelte/reactivity';
import type { Member, Message, ReceiptPayload } from '#lib/api/types.ts';

/** Sequence numbers up to which a member has received and read a conversation. */
export interface Position {
  readonly delivered: number;
  readonly read: number;
}

/** Positions of the members of a conversation. A position only moves forward, except by `resetOwn`. */
export class ReadPositionsStore {
  readonly #positions = new SvelteMap<string, Position>();
  readonly #me: () => string | null;
  /** Read position of the reader that the server has confirmed. */
  #own = 0;

  constructor(me: () => string | null) {
    this.#me = me;
  }

  /** Read position of the reader that the server has confirmed. */
  get own(): number {
    return this.#own;
  }

  resetOwn(read: number): void {
    this.#own = read;
  }

  get(userId: string): Position | undefined {
    return this.#positions.get(userId);
  }

  applyReceipt({ user_id, delivered_seq, read_seq }: ReceiptPayload): void {
    this.#advance(user_id, { delivered: delivered_seq, read: read_seq });
  }

  applyReaders(items: readonly { user_id: string; read_seq: number }[]): void {
    for (const { user_id, read_seq } of items) this.#advance(user_id, { delivered: read_seq, read: read_seq });
  }

  applyMembers(members: readonly Member[]): void {
    for (const { user_id, delivered_seq = 0, read_seq = 0 } of members) {
      if (user_id) this.#advance(user_id, { delivered: delivered_seq, read: read_seq });
    }
  }

  /** Applies that the sender of a message has read the messages before it. A reply in a thread doesn't show that. */
  applySender({ sender, seq, thread_id, also_to_conversation }: Message): void {
    if (sender.kind !== 'user' || sender.id === null || (thread_id && !also_to_conversation)) return;
    this.#advance(sender.id, { delivered: seq, read: seq });
  }

  #advance(userId: string, { delivered, read }: Position): void {
    if (userId === this.#me()) this.#own = Math.max(this.#own, read);
    const have = this.#positions.get(userId);
    if (have && have.delivered >= delivered && have.read >= read) return;
    this.#positions.set(userId, {
      delivered: Math.max(delivered, read, have?.delivered ?? 0),
      read: Math.max(read, have?.read ?? 0)
    });
  }
}
