/**
 * Looks after answers that are being written. A piece may be lost without a later one to show it: while a page was
 * loading, or with a connection. An answer that has not grown for a while is therefore asked for, ever more seldom.
 */
export interface Growing {
  readonly id: string;
  readonly length: number;
}

/** The server stores what has been written once a second. */
const FIRST_LOOK = 1_500;
const LAST_LOOK = 15_000;

export class Watch {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wait = FIRST_LOOK;
  #seen = '';
  readonly #growing: () => readonly Growing[];
  readonly #ask: (id: string) => Promise<void>;

  constructor(growing: () => readonly Growing[], ask: (id: string) => Promise<void>) {
    this.#growing = growing;
    this.#ask = ask;
  }

  /** Something has changed: where answers are being written, they are looked after. */
  look(): void {
    const seen = this.#growing()
      .map(({ id, length }) => `${id}:${length}`)
      .join();
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.#wait = FIRST_LOOK;
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
    await Promise.all(this.#growing().map(({ id }) => this.#ask(id)));
    // What was missed has set the clock anew.
    if (this.#seen !== seen) return;
    this.#wait = Math.min(LAST_LOOK, this.#wait * 2);
    this.#later();
  }
}
