/** One thing of the server: what it is, whether it is on its way, what went wrong. */
export class Asked<T> {
  value = $state.raw<T | null>(null);
  isLoading = $state(false);
  error = $state<unknown>(null);

  readonly #ask: () => Promise<T>;
  #askedAt: number | null = null;
  #turn = 0;

  constructor(ask: () => Promise<T>) {
    this.#ask = ask;
  }

  /** When it was asked for last; null: never yet, -Infinity: in vain. */
  get askedAt(): number | null {
    return this.#askedAt;
  }

  /** What is there stays until the answer comes, also where that is a failure. */
  async load(): Promise<void> {
    this.#turn += 1;
    const turn = this.#turn;
    this.isLoading = true;
    this.#askedAt = Date.now();
    try {
      const value = await this.#ask();
      if (turn !== this.#turn) return;
      this.value = value;
      this.error = null;
    } catch (error) {
      if (turn !== this.#turn) return;
      this.error = error;
      this.#askedAt = -Infinity;
    } finally {
      if (turn === this.#turn) this.isLoading = false;
    }
  }

  retry(): Promise<void> {
    return this.load();
  }

  /** The server has told it by itself: what was asked before is older. */
  tell(value: T): void {
    this.#turn += 1;
    this.value = value;
    this.error = null;
    this.isLoading = false;
  }
}
