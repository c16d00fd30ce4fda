/** Value that is loaded from the server, with its loading and error state. */
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

  /** Time of the last request; null if never requested, -Infinity if it failed. */
  get requestedAt(): number | null {
    return this.#requestedAt;
  }

  /** Loads the value. The current one stays visible until the response arrives, and also if that is an error. */
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

  /** Sets a value that the server pushed, and discards the response to a request in flight. */
  set(value: T): void {
    this.#turn += 1;
    this.value = value;
    this.error = null;
    this.isLoading = false;
  }
}
