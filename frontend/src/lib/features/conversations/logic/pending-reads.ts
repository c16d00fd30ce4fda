import type { Id } from '#lib/api/types.ts';

/** Request for one conversation; `id` is null for the request for all of them. */
interface Read {
  readonly id: Id | null;
  readonly since: (() => void)[];
}

/**
 * Requests for conversations that are in progress. A response may be older than a change that was applied meanwhile, and not all changes have
 * sequence numbers. Therefore these changes are applied again after the response.
 */
export class PendingReads {
  readonly #reads = new Set<Read>();

  /** Sends a request and applies its response, and then again the changes that were applied since. */
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

  /**
   * Applies a change now, and again after the responses to pending requests. `id` is null for a change of all conversations, undefined if the
   * conversation is unknown.
   */
  change(id: Id | null | undefined, change: () => void): void {
    for (const read of this.#reads) if (id === undefined || read.id === null || read.id === id) read.since.push(change);
    change();
  }
}
