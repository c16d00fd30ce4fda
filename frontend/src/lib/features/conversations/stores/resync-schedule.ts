import type { Id } from '#lib/api/types.ts';

/** Delay in milliseconds over which the reads after a resync are spread: every connected client hears of it at the same moment. */
const MAX_DELAY = 3_000;

/** Schedule of the reads that resync frames ask for. */
export class ResyncSchedule {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stale: Set<Id> | 'all' = new Set();
  readonly #read: (stale: ReadonlySet<Id> | 'all') => void;
  readonly #pending: () => Promise<void> | undefined;

  /** `pending` is the read in progress, which may be stale and is awaited first. */
  constructor(read: (stale: ReadonlySet<Id> | 'all') => void, pending: () => Promise<void> | undefined) {
    this.#read = read;
    this.#pending = pending;
  }

  /** Schedules a read of these conversations, or of all (null). */
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
