import type { Id } from '#lib/api/types.ts';

/** Request for a conversation, or for all of them (null). */
interface Read {
  readonly id: Id | null;
  readonly since: (() => void)[];
}

/**
 * Reads in flight. Their responses may be older than changes applied meanwhile, and not all changes have sequence numbers, so these changes are
 * applied again to the response.
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

  /** Applies a change to one conversation, all (null) or an unknown one (undefined), and repeats it after pending responses. */
  change(id: Id | null | undefined, change: () => void): void {
    for (const read of this.#reads) if (id === undefined || read.id === null || read.id === id) read.since.push(change);
    change();
  }
}
