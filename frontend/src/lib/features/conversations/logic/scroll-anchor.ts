/** Scroll anchor: at the end the view follows new messages; elsewhere it keeps its position and counts them. */
export interface Metrics {
  readonly offset: number;
  readonly viewport: number;
  readonly size: number;
}

/** A view that shrinks is moved by the browser by so much, and not by its reader. */
const SLACK = 4;
/** Close enough to the end to mean it. */
const END_WITHIN = 32;
/** Screens before the end at which older messages are loaded. */
const ASK_AHEAD = 2;

export class ScrollAnchor {
  #follows = true;
  #offset = 0;
  #missed = 0;

  get follows(): boolean {
    return this.#follows;
  }

  /** Messages that came while the reader was elsewhere. */
  get missed(): number {
    return this.#missed;
  }

  /** The view moved. Only a move upwards leaves the end, and only one downwards reaches it: text that grows is no move. */
  scrolled({ offset, viewport, size }: Metrics): void {
    const distance = size - viewport - offset;
    const isUp = offset < this.#offset - 1;
    if (isUp && distance > SLACK) this.#follows = false;
    else if (!isUp && distance <= END_WITHIN) this.#arrive();
    this.#offset = offset;
  }

  /** Messages were appended. Own messages scroll to the end. */
  appended(count: number, own: boolean): void {
    if (own) this.#arrive();
    else if (!this.#follows) this.#missed += count;
  }

  /** Scrolled to a position other than the end. */
  release(): void {
    this.#follows = false;
  }

  scrollToEnd(): void {
    this.#arrive();
  }

  static isNearStart({ offset, viewport }: Metrics): boolean {
    return offset < viewport * ASK_AHEAD;
  }

  #arrive(): void {
    this.#follows = true;
    this.#missed = 0;
  }
}
