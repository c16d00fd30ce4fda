/**
 * Reloads streaming answers that stall. A delta may be lost during page load or a reconnect without a later one to reveal the gap; answers that
 * haven't grown for a while are requested with increasing intervals.
 */
export interface GrowingAnswer {
  readonly id: string;
  readonly length: number;
}

/** The server stores streaming text once a second. */
const FIRST_CHECK = 1_500;
const MAX_INTERVAL = 15_000;

export class StallWatch {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wait = FIRST_CHECK;
  #seen = '';
  readonly #growing: () => readonly GrowingAnswer[];
  readonly #reload: (id: string) => Promise<void>;

  constructor(growing: () => readonly GrowingAnswer[], ask: (id: string) => Promise<void>) {
    this.#growing = growing;
    this.#reload = ask;
  }

  /** Restarts the timer when answers have grown. */
  update(): void {
    const seen = this.#growing()
      .map(({ id, length }) => `${id}:${length}`)
      .join();
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.#wait = FIRST_CHECK;
    clearTimeout(this.#timer);
    if (seen !== '') this.#later();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #later(): void {
    this.#timer = setTimeout(() => void this.#check(), this.#wait);
  }

  async #check(): Promise<void> {
    const seen = this.#seen;
    await Promise.all(this.#growing().map(({ id }) => this.#reload(id)));
    // The reload brought news and restarted the timer.
    if (this.#seen !== seen) return;
    this.#wait = Math.min(MAX_INTERVAL, this.#wait * 2);
    this.#later();
  }
}
