/**
 * Reveals a streaming answer at an even speed, because providers send text in bursts. The shown text lags by at most about `CATCH_UP_SECONDS`. The
 * constant is the lowest speed, in UTF-16 units per second.
 */
const SLOWEST_PER_SECOND = 90;
/** Time in seconds in which the text received so far is to be revealed. */
const CATCH_UP_SECONDS = 0.35;

export class Pacer {
  #shown: number;
  #exact: number;
  #last: number | null = null;

  /** `shown` is the length of the text that is present at the start and shown at once. */
  constructor(shown: number) {
    this.#shown = shown;
    this.#exact = shown;
  }

  get shown(): number {
    return this.#shown;
  }

  /** Returns the length of `text` to show at time `now` (milliseconds). Called once per frame. */
  advance(now: number, text: string): number {
    const seconds = this.#last === null ? 0 : Math.min((now - this.#last) / 1_000, 0.25);
    this.#last = now;
    // The text has become shorter, because the answer was started again.
    this.#exact = Math.min(this.#exact, text.length);
    const speed = Math.max(SLOWEST_PER_SECOND, (text.length - this.#exact) / CATCH_UP_SECONDS);
    this.#exact = Math.min(text.length, this.#exact + speed * seconds);
    this.#shown = wholeCharacters(text, Math.floor(this.#exact));
    return this.#shown;
  }

  /** Stops the clock while everything is shown, so that a pause doesn't count. */
  rest(): void {
    this.#last = null;
  }
}

/** Shortens `length` by one if it would split a surrogate pair. */
function wholeCharacters(text: string, length: number): number {
  const code = text.charCodeAt(length - 1);
  return length < text.length && code >= 0xd800 && code <= 0xdbff ? length + 1 : length;
}
