/**
 * Looks after answers that are being written. A piece may be lost without a later one to show it: while a page was
 * loading, or with a connection. An answer that has not grown for a while is therefore asked for, ever more seldom.
 */
export interface GrowingAnswer {
  readonly id: string;
  readonly length: number;
}

/** The server stores what has been written once a second. */
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

  /** Something has changed: where answers are being written, they are looked after. */
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
    // What was missed has set the clock anew.
    if (this.#seen !== seen) return;
    this.#wait = Math.min(MAX_INTERVAL, this.#wait * 2);
    this.#later();
  }
}
