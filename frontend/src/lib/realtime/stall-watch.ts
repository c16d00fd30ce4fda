/**
 * Requests streaming answers again that don't grow any more. A delta may be lost during the page load or a reconnect, and without a later one nothing
 * shows that it is missing. The intervals between the requests increase.
 */
export interface GrowingAnswer {
  readonly id: string;
  readonly length: number;
}

/** Time in milliseconds without growth after which an answer is requested. The server stores the text of a streaming answer once a second. */
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

  /** Starts the timer again if an answer has grown. */
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
    // An answer has grown by the request, and the timer was started again.
    if (this.#seen !== seen) return;
    this.#wait = Math.min(MAX_INTERVAL, this.#wait * 2);
    this.#later();
  }
}
