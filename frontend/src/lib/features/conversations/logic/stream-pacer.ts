/**
 * Shows an answer at an even speed. A provider sends its text in lumps; the reader sees it flow, never more than a
 * moment behind what has arrived.
 */
const SLOWEST_PER_SECOND = 90;
/** What waits to be shown is shown within about this time. */
const CATCH_UP_SECONDS = 0.35;

export class Pacer {
  #shown: number;
  #exact: number;
  #last: number | null = null;

  /** What is there at the beginning is not played again. */
  constructor(shown: number) {
    this.#shown = shown;
    this.#exact = shown;
  }

  get shown(): number {
    return this.#shown;
  }

  /** How much of `text` to show at the time `now` (milliseconds); call it once for each frame. */
  advance(now: number, text: string): number {
    const seconds = this.#last === null ? 0 : Math.min((now - this.#last) / 1_000, 0.25);
    this.#last = now;
    // A text that has become shorter was started again.
    this.#exact = Math.min(this.#exact, text.length);
    const speed = Math.max(SLOWEST_PER_SECOND, (text.length - this.#exact) / CATCH_UP_SECONDS);
    this.#exact = Math.min(text.length, this.#exact + speed * seconds);
    this.#shown = wholeCharacters(text, Math.floor(this.#exact));
    return this.#shown;
  }

  /** Nothing is left to show: the next text starts the clock again. */
  rest(): void {
    this.#last = null;
  }
}

/** Never shows half of a surrogate pair. */
function wholeCharacters(text: string, length: number): number {
  const code = text.charCodeAt(length - 1);
  return length < text.length && code >= 0xd800 && code <= 0xdbff ? length + 1 : length;
}
