import type { Page } from '#lib/api/types.ts';

/** A list that changes while it is read is read again, so often at most. */
const AGAIN = 2;

/** One list of the server, page by page: what is there, what is on its way, what went wrong. */
export class Listing<T> {
  items = $state.raw<T[]>([]);
  total = $state(0);
  /** The page shown last; 0 while nothing has come yet. */
  page = $state(0);
  isLoading = $state(false);
  error = $state<unknown>(null);

  readonly #ask: (page: number) => Promise<Page<T>>;
  readonly #keyOf: ((item: T) => unknown) | undefined;
  #askedAt: number | null = null;
  #turn = 0;
  /** How often something was put or dropped: an answer that was on its way by then doesn’t know of it. */
  #changes = 0;
  #again: () => Promise<void> = () => this.load();

  /** With `keyOf`, what is there already isn't added again. */
  constructor(ask: (page: number) => Promise<Page<T>>, keyOf?: (item: T) => unknown) {
    this.#ask = ask;
    this.#keyOf = keyOf;
  }

  /** When it was asked for as a whole last; null: never yet, -Infinity: in vain. */
  get askedAt(): number | null {
    return this.#askedAt;
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
    this.#again = () => this.load(page);
    this.#askedAt = Date.now();
    return this.#take(page, (items) => items);
  }

  /** Adds the next page at the end. */
  more(): Promise<void> {
    this.#again = () => this.more();
    return this.#take(this.page + 1, (items) => [...this.items, ...this.#without(items)]);
  }

  /** What was asked last is asked again. */
  retry(): Promise<void> {
    return this.#again();
  }

  /** Puts what the server has just answered where `order` puts it; without an order where it was, or in front. */
  put(item: T, isSame: (other: T) => boolean, order?: (a: T, b: T) => number): void {
    this.#changes += 1;
    const before = this.items.findIndex(isSame);
    const others = before === -1 ? this.items : this.items.toSpliced(before, 1);
    const at = order ? others.findIndex((other) => order(item, other) < 0) : Math.max(before, 0);
    this.items = others.toSpliced(at === -1 ? others.length : at, 0, item);
    if (before === -1) this.total += 1;
  }

  drop(isGone: (item: T) => boolean): void {
    this.#changes += 1;
    const left = this.items.filter((item) => !isGone(item));
    this.total -= this.items.length - left.length;
    this.items = left;
  }

  #without(items: T[]): T[] {
    const keyOf = this.#keyOf;
    if (!keyOf) return items;
    const known = new Set(this.items.map(keyOf));
    return items.filter((item) => !known.has(keyOf(item)));
  }

  async #take(page: number, merge: (items: T[]) => T[]): Promise<void> {
    this.#turn += 1;
    const turn = this.#turn;
    this.isLoading = true;
    this.error = null;
    try {
      let answer: Page<T>;
      for (let again = 0; ; again += 1) {
        const changes = this.#changes;
        answer = await this.#ask(page);
        // A later question was asked meanwhile: its answer is the one to show.
        if (turn !== this.#turn) return;
        if (changes === this.#changes || again === AGAIN) break;
      }
      this.items = merge(answer.items);
      this.total = answer.total;
      this.page = page;
    } catch (error) {
      if (turn !== this.#turn) return;
      this.error = error;
      this.#askedAt = -Infinity;
    } finally {
      if (turn === this.#turn) this.isLoading = false;
    }
  }
}
