/** Reveals a streaming answer at an even speed, because providers send text in bursts. The lag stays below `CATCH_UP_SECONDS`. */
const SLOWEST_PER_SECOND = 90;
/** Target time to reveal the buffered text, in seconds. */
const CATCH_UP_SECONDS = 0.35;

export class Pacer {
  #shown: number;
  #exact: number;
  #last: number | null = null;

  /** Text present at the start is not animated. */
  constructor(shown: number) {
    this.#shown = shown;
    this.#exact = shown;
  }

  get shown(): number {
    return this.#shown;
  }

  /** Returns the length of `text` to show at `now` (milliseconds); call it once per frame. */
  advance(now: number, text: string): number {
    const seconds = this.#last === null ? 0 : Math.min((now - this.#last) / 1_000, 0.25);
    this.#last = now;
    // A shorter text was restarted.
    this.#exact = Math.min(this.#exact, text.length);
    const speed = Math.max(SLOWEST_PER_SECOND, (text.length - this.#exact) / CATCH_UP_SECONDS);
    this.#exact = Math.min(text.length, this.#exact + speed * seconds);
    this.#shown = wholeCharacters(text, Math.floor(this.#exact));
    return this.#shown;
  }

  /** Stops the clock when everything is shown. */
  rest(): void {
    this.#last = null;
  }
}

/** Never splits a surrogate pair. */
function wholeCharacters(text: string, length: number): number {
  const code = text.charCodeAt(length - 1);
  return length < text.length && code >= 0xd800 && code <= 0xdbff ? length + 1 : length;
}
