import type { Page } from '#lib/api/types.ts';

/** Maximum number of times that a page is read again because the list changed during loading. */
const MAX_REREADS = 2;

/** List of the server that is loaded page by page, with its loading and error state. */
export class PagedResource<T> {
  items = $state.raw<T[]>([]);
  total = $state(0);
  /** Number of the last loaded page; 0 before the first response. */
  page = $state(0);
  isLoading = $state(false);
  error = $state<unknown>(null);

  readonly #request: (page: number) => Promise<Page<T>>;
  readonly #keyOf: ((item: T) => unknown) | undefined;
  #requestedAt: number | null = null;
  /** Number of the first loaded page. */
  #first = 1;
  #turn = 0;
  /** Number of local changes. A response is stale if its request is older than the last change. */
  #changes = 0;
  #repeatLoad: () => Promise<void> = () => this.load();

  /** If `keyOf` is given, items that are already loaded are not added again. */
  constructor(ask: (page: number) => Promise<Page<T>>, keyOf?: (item: T) => unknown) {
    this.#request = ask;
    this.#keyOf = keyOf;
  }

  /** Time of the last request that replaced the list; null if there was none, -Infinity if it failed. */
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

  /** Replaces the items by the given page. */
  load(page = 1): Promise<void> {
    this.#repeatLoad = () => this.load(page);
    this.#requestedAt = Date.now();
    return this.#loadPages(page, page, (items) => items);
  }

  /** Reloads all pages loaded so far, so that the list keeps its length and its scroll position. */
  refresh(): Promise<void> {
    if (!this.isKnown) return this.load();
    this.#repeatLoad = () => this.refresh();
    this.#requestedAt = Date.now();
    return this.#loadPages(this.#first, this.page, (items) => items);
  }

  /** Appends the next page. */
  more(): Promise<void> {
    this.#repeatLoad = () => this.more();
    const next = this.page + 1;
    return this.#loadPages(next, next, (items) => [...this.items, ...this.#without(items, this.items)], this.#first);
  }

  /** Repeats the last request. */
  retry(): Promise<void> {
    return this.#repeatLoad();
  }

  /**
   * Inserts `item` or replaces the item that `isSame` finds. Its position follows from `order`; without it, a new item comes first and a replaced one
   * keeps its position.
   */
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

  /** Replaces the items by the result of `changed`. Discards responses that were requested before. */
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
          // A later request was sent; only its response counts.
          if (turn !== this.#turn) return;
          found = [...found, ...this.#without(answer.items, found)];
          // Stops before page `to` if the list has become shorter.
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
