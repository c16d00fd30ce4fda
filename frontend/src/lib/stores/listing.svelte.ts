import type { Page } from '#lib/api/types.ts';

/** One list of the server, page by page: what is there, what is on its way, what went wrong. */
export class Listing<T> {
  items = $state.raw<T[]>([]);
  total = $state(0);
  /** The page shown last; 0 while nothing has come yet. */
  page = $state(0);
  isLoading = $state(false);
  error = $state<unknown>(null);

  readonly #ask: (page: number) => Promise<Page<T>>;
  #turn = 0;

  constructor(ask: (page: number) => Promise<Page<T>>) {
    this.#ask = ask;
  }

  get isKnown(): boolean {
    return this.page > 0;
  }

  get isEmpty(): boolean {
    return this.isKnown && this.items.length === 0;
  }

  get hasMore(): boolean {
    return this.items.length < this.total;
  }

  /** Shows that page in place of what is there. */
  load(page = 1): Promise<void> {
    return this.#take(page, (items) => items);
  }

  /** Adds the next page at the end. */
  more(): Promise<void> {
    return this.#take(this.page + 1, (items) => [...this.items, ...items]);
  }

  /** Puts what the server has just answered in its place, or in front. */
  put(item: T, isSame: (other: T) => boolean): void {
    if (this.items.some(isSame)) this.items = this.items.map((other) => (isSame(other) ? item : other));
    else {
      this.items = [item, ...this.items];
      this.total += 1;
    }
  }

  drop(isGone: (item: T) => boolean): void {
    const left = this.items.filter((item) => !isGone(item));
    this.total -= this.items.length - left.length;
    this.items = left;
  }

  async #take(page: number, merge: (items: T[]) => T[]): Promise<void> {
    this.#turn += 1;
    const turn = this.#turn;
    this.isLoading = true;
    this.error = null;
    try {
      const answer = await this.#ask(page);
      // A later question was asked meanwhile: its answer is the one to show.
      if (turn !== this.#turn) return;
      this.items = merge(answer.items);
      this.total = answer.total;
      this.page = page;
    } catch (error) {
      if (turn === this.#turn) this.error = error;
    } finally {
      if (turn === this.#turn) this.isLoading = false;
    }
  }
}
