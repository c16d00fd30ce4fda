import type { Page } from '#lib/api/types.ts';

/** A list that changes while it is read is read again, so often at most. */
const MAX_REREADS = 2;

/** One list of the server, page by page: what is there, what is on its way, what went wrong. */
export class PagedResource<T> {
  items = $state.raw<T[]>([]);
  total = $state(0);
  /** The page shown last; 0 while nothing has come yet. */
  page = $state(0);
  isLoading = $state(false);
  error = $state<unknown>(null);

  readonly #request: (page: number) => Promise<Page<T>>;
  readonly #keyOf: ((item: T) => unknown) | undefined;
  #requestedAt: number | null = null;
  /** The first of the pages that are there. */
  #first = 1;
  #turn = 0;
  /** How often something was put, dropped or changed: an answer that was on its way by then doesn’t know of it. */
  #changes = 0;
  #again: () => Promise<void> = () => this.load();

  /** With `keyOf`, what is there already isn't added again. */
  constructor(ask: (page: number) => Promise<Page<T>>, keyOf?: (item: T) => unknown) {
    this.#request = ask;
    this.#keyOf = keyOf;
  }

  /** When it was asked for as a whole last; null: never yet, -Infinity: in vain. */
  get requestedAt(): number | null {
    return this.#requestedAt;
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
    this.#requestedAt = Date.now();
    return this.#loadPages(page, page, (items) => items);
  }

  /** Reads what is there anew, as many pages as it has: whoever looks at the last of them stays there. */
  refresh(): Promise<void> {
    if (!this.isKnown) return this.load();
    this.#again = () => this.refresh();
    this.#requestedAt = Date.now();
    return this.#loadPages(this.#first, this.page, (items) => items);
  }

  /** Adds the next page at the end. */
  more(): Promise<void> {
    this.#again = () => this.more();
    const next = this.page + 1;
    return this.#loadPages(next, next, (items) => [...this.items, ...this.#without(items, this.items)], this.#first);
  }

  /** What was asked last is asked again. */
  retry(): Promise<void> {
    return this.#again();
  }

  /** Puts what the server has just answered where `order` puts it; without an order where it was, or in front. */
  upsert(item: T, isSame: (other: T) => boolean, order?: (a: T, b: T) => number): void {
    this.#changes += 1;
    const before = this.items.findIndex(isSame);
    const others = before === -1 ? this.items : this.items.toSpliced(before, 1);
    const at = order ? others.findIndex((other) => order(item, other) < 0) : Math.max(before, 0);
    this.items = others.toSpliced(at === -1 ? others.length : at, 0, item);
    if (before === -1) this.total += 1;
  }

  remove(isGone: (item: T) => boolean): void {
    this.#changes += 1;
    const left = this.items.filter((item) => !isGone(item));
    this.total -= this.items.length - left.length;
    this.items = left;
  }

  /** What is there becomes what `changed` makes of it. */
  change(changed: (items: T[]) => T[]): void {
    this.#changes += 1;
    this.items = changed(this.items);
  }

  #without(items: T[], others: readonly T[]): T[] {
    const keyOf = this.#keyOf;
    if (!keyOf) return items;
    const known = new Set(others.map(keyOf));
    return items.filter((item) => !known.has(keyOf(item)));
  }

  async #loadPages(from: number, to: number, merge: (items: T[]) => T[], first = from): Promise<void> {
    this.#turn += 1;
    const turn = this.#turn;
    this.isLoading = true;
    this.error = null;
    try {
      let found: T[];
      let answer: Page<T>;
      let page: number;
      for (let again = 0; ; again += 1) {
        const changes = this.#changes;
        found = [];
        for (page = from; ; page += 1) {
          answer = await this.#request(page);
          // A later question was asked meanwhile: its answer is the one to show.
          if (turn !== this.#turn) return;
          found = [...found, ...this.#without(answer.items, found)];
          // It may have become shorter.
          if (page === to || page * answer.page_size >= answer.total) break;
        }
        if (changes === this.#changes || again === MAX_REREADS) break;
      }
      this.items = merge(found);
      this.total = answer.total;
      this.page = page;
      this.#first = first;
    } catch (error) {
      if (turn !== this.#turn) return;
      this.error = error;
      this.#requestedAt = -Infinity;
    } finally {
      if (turn === this.#turn) this.isLoading = false;
    }
  }
}
