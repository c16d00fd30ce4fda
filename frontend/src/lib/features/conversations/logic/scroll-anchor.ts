/** Decides whether the view follows new messages. At the end it follows them; elsewhere it keeps its position and counts them. */
export interface Metrics {
  readonly offset: number;
  readonly viewport: number;
  readonly size: number;
}

/** Distance to the end in pixels up to which upward movement counts as a shift by a shrinking viewport, not as scrolling. */
const UPWARD_TOLERANCE = 4;
/** Distance in pixels that still counts as the end. */
const END_WITHIN = 32;
/** Distance to the first loaded message at which older ones are loaded, in heights of the viewport. */
const PREFETCH_VIEWPORTS = 2;

export class ScrollAnchor {
  #follows = true;
  #offset = 0;
  #newMessageCount = 0;

  get follows(): boolean {
    return this.#follows;
  }

  /** Number of messages that have arrived since the view left the end. */
  get newMessageCount(): number {
    return this.#newMessageCount;
  }

  /** Handles scrolling. The view leaves the end only by moving up, and reaches it only by moving down. */
  handleScroll({ offset, viewport, size }: Metrics): void {
    const distance = size - viewport - offset;
    const isUp = offset < this.#offset - 1;
    if (isUp && distance > UPWARD_TOLERANCE) this.#follows = false;
    else if (!isUp && distance <= END_WITHIN) this.#arrive();
    this.#offset = offset;
  }

  /** Handles new messages. The user's own message scrolls to the end. */
  handleAppend(count: number, own: boolean): void {
    if (own) this.#arrive();
    else if (!this.#follows) this.#newMessageCount += count;
  }

  /** Stops following, for example because of a jump to another position. */
  release(): void {
    this.#follows = false;
  }

  scrollToEnd(): void {
    this.#arrive();
  }

  static isNearStart({ offset, viewport }: Metrics): boolean {
    return offset < viewport * PREFETCH_VIEWPORTS;
  }

  #arrive(): void {
    this.#follows = true;
    this.#newMessageCount = 0;
  }
}
