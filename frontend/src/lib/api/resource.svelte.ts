/** One thing of the server: what it is, whether it is on its way, what went wrong. */
export class Resource<T> {
  value = $state.raw<T | null>(null);
  isLoading = $state(false);
  error = $state<unknown>(null);

  readonly #request: () => Promise<T>;
  #requestedAt: number | null = null;
  #turn = 0;

  constructor(ask: () => Promise<T>) {
    this.#request = ask;
  }

  /** When it was asked for last; null: never yet, -Infinity: in vain. */
  get requestedAt(): number | null {
    return this.#requestedAt;
  }

  /** What is there stays until the answer comes, also where that is a failure. */
  async load(): Promise<void> {
    this.#turn += 1;
    const turn = this.#turn;
    this.isLoading = true;
    this.#requestedAt = Date.now();
    try {
      const value = await this.#request();
      if (turn !== this.#turn) return;
      this.value = value;
      this.error = null;
    } catch (error) {
      if (turn !== this.#turn) return;
      this.error = error;
      this.#requestedAt = -Infinity;
    } finally {
      if (turn === this.#turn) this.isLoading = false;
    }
  }

  retry(): Promise<void> {
    return this.load();
  }

  /** The server has told it by itself: what was asked before is older. */
  set(value: T): void {
    this.#turn += 1;
    this.value = value;
    this.error = null;
    this.isLoading = false;
  }
}
