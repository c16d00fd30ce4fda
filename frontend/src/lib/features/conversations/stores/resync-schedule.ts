import type { Id } from '#lib/api/types.ts';

/**
 * Longest delay in milliseconds before a request after a resync. The delay is random, because all connected clients receive the resync at the same
 * moment.
 */
const MAX_DELAY = 3_000;

/** Schedules the requests that resync frames cause. */
export class ResyncSchedule {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stale: Set<Id> | 'all' = new Set();
  readonly #read: (stale: ReadonlySet<Id> | 'all') => void;
  readonly #pending: () => Promise<void> | undefined;

  /** `pending` returns the request in progress, if any. Its response may be outdated, so it is awaited first. */
  constructor(read: (stale: ReadonlySet<Id> | 'all') => void, pending: () => Promise<void> | undefined) {
    this.#read = read;
    this.#pending = pending;
  }

  /** Schedules a request for these conversations, or for all if null. */
  add(ids: readonly Id[] | null): void {
    if (ids === null) this.#stale = 'all';
    else if (this.#stale !== 'all') for (const id of ids) this.#stale.add(id);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void Promise.resolve(this.#pending()).then(() => this.#readStale());
    }, Math.random() * MAX_DELAY);
  }

  reset(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#stale = new Set();
  }

  #readStale(): void {
    const stale = this.#stale;
    this.#stale = new Set();
    this.#read(stale);
  }
}
