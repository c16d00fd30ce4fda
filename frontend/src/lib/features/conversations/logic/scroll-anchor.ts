/** Scroll anchor: at the end the view follows new messages; elsewhere it keeps its position and counts them. */
export interface Metrics {
  readonly offset: number;
  readonly viewport: number;
  readonly size: number;
}

/** Shift caused by a shrinking viewport, not by scrolling. */
const SLACK = 4;
/** Distance that counts as the end, in pixels. */
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

  /** Messages that arrived while away from the end. */
  get missed(): number {
    return this.#missed;
  }

  /** Handles scrolling. Only upward moves leave the end and only downward ones reach it. */
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
