import type { Id } from '#lib/api/types.ts';

/** Request for a conversation, or for all of them (null). */
interface Read {
  readonly id: Id | null;
  readonly since: (() => void)[];
}

/**
 * Requests for conversations that await their answers. An answer may be older than changes that were applied meanwhile, and not every
 * change has a sequence number to tell, so these changes are applied again after it.
 */
export class PendingReads {
  readonly #reads = new Set<Read>();

  /** Sends a request, applies its answer, and then the changes since. */
  async run<T>(id: Id | null, request: () => Promise<T>, apply: (answer: T) => void): Promise<T> {
    const read: Read = { id, since: [] };
    this.#reads.add(read);
    try {
      const answer = await request();
      this.#reads.delete(read);
      apply(answer);
      for (const again of read.since) again();
      return answer;
    } finally {
      this.#reads.delete(read);
    }
  }

  /** Applies a change of a conversation, of all (null) or of an unknown one (undefined), and again after the answers to come. */
  change(id: Id | null | undefined, change: () => void): void {
    for (const read of this.#reads) if (id === undefined || read.id === null || read.id === id) read.since.push(change);
    change();
  }
}
