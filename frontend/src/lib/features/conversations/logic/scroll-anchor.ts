/**
 * Decides where the view of a list of messages stays when the list changes: at the end, at a row to which the reader has jumped, or where the reader has
 * scrolled to. Browsers and the virtual list scroll, too, when content shrinks or was measured. Such scrolling doesn't change the decision.
 */
export interface Metrics {
  readonly offset: number;
  readonly viewport: number;
  readonly size: number;
}

/** Direction of scrolling; 0 if it isn't known. */
export type Direction = -1 | 0 | 1;

/** Distance to the end in pixels up to which upward movement doesn't leave it. */
const UPWARD_TOLERANCE = 4;
/** Distance in pixels that still counts as the end. */
const END_WITHIN = 32;
/** Distance to the first loaded message at which older ones are loaded, in heights of the viewport. */
const PREFETCH_VIEWPORTS = 2;
/** Time after an input of the reader, or after scrolling by it, in which scrolling belongs to that input, in milliseconds. */
const INPUT_LASTS = 200;
/**
 * Time after a change of the layout or a command from which scrolling without an input is the reader's, in milliseconds: screen readers and the search of
 * the browser scroll without one.
 */
const SETTLED_AFTER = 1_000;

export class ScrollAnchor {
  #follows = true;
  #heldRow: string | null = null;
  #newMessageCount = 0;
  #last: Metrics = { offset: 0, viewport: 0, size: 0 };
  #inputAt = -Infinity;
  #direction: Direction = 0;
  #isPointerDown = false;
  #changedAt = -Infinity;

  /** Whether the view is at the end and stays there. */
  get follows(): boolean {
    return this.#follows;
  }

  /** Key of the row that stays in view until the reader scrolls; null if there is none. */
  get heldRow(): string | null {
    return this.#heldRow;
  }

  /** Number of messages that have arrived since the view left the end. */
  get newMessageCount(): number {
    return this.#newMessageCount;
  }

  /** Whether the end is out of view. */
  get isAway(): boolean {
    return !this.#follows && distanceOf(this.#last) > END_WITHIN;
  }

  /** Handles an input of the reader that can scroll: the wheel, a key, or a drag. */
  handleInput(direction: Direction, now: number): void {
    this.#inputAt = now;
    this.#direction = direction;
  }

  /** Handles a pointer that scrolls as long as it is down: a finger, or the mouse at the scroll bar. */
  handlePointer(isDown: boolean, now: number): void {
    this.#isPointerDown = isDown;
    this.handleInput(0, now);
  }

  handleScroll(metrics: Metrics, now: number): void {
    const moved = metrics.offset - this.#last.offset;
    this.#record(metrics, now);
    if (moved === 0 || !this.#isReader(now)) return;
    this.#inputAt = now;
    this.#heldRow = null;
    const distance = distanceOf(metrics);
    if (moved < 0 && this.#direction <= 0 && distance > UPWARD_TOLERANCE) this.#follows = false;
    else if (moved > 0 && this.#direction >= 0 && distance <= END_WITHIN) this.scrollToEnd();
  }

  /** Handles a change of the size of the rows or of the viewport. */
  handleLayout(metrics: Metrics, now: number): void {
    this.#record(metrics, now);
    // Everything fits into the view, so it is at the end.
    if (metrics.size <= metrics.viewport) this.scrollToEnd();
  }

  /** Handles the first position of the view. */
  handlePlaced(metrics: Metrics, now: number): void {
    this.#record(metrics, now);
    if (distanceOf(metrics) <= END_WITHIN) this.scrollToEnd();
  }

  /** Handles new messages. The user's own message scrolls to the end. */
  handleAppend(count: number, own: boolean): void {
    if (own) this.scrollToEnd();
    else if (!this.#follows) this.#newMessageCount += count;
  }

  /** Keeps a row in view until the reader scrolls. */
  hold(row: string, now: number): void {
    this.release(now);
    this.#heldRow = row;
  }

  /** Stops following. */
  release(now: number): void {
    this.#follows = false;
    this.#heldRow = null;
    this.#inputAt = -Infinity;
    this.#changedAt = now;
  }

  scrollToEnd(): void {
    this.#follows = true;
    this.#heldRow = null;
    this.#newMessageCount = 0;
  }

  static isNearStart({ offset, viewport }: Metrics): boolean {
    return offset < viewport * PREFETCH_VIEWPORTS;
  }

  #record(metrics: Metrics, now: number): void {
    if (metrics.size !== this.#last.size || metrics.viewport !== this.#last.viewport) this.#changedAt = now;
    this.#last = metrics;
  }

  /** Whether scrolling at this time is the reader's. */
  #isReader(now: number): boolean {
    return this.#isPointerDown || now - this.#inputAt < INPUT_LASTS || now - this.#changedAt > SETTLED_AFTER;
  }
}

const distanceOf = ({ offset, viewport, size }: Metrics): number => size - viewport - offset;

/** Directions of the keys that scroll. */
const KEYS: Readonly<Record<string, Direction>> = {
  ArrowUp: -1,
  PageUp: -1,
  Home: -1,
  ArrowDown: 1,
  PageDown: 1,
  End: 1,
  Tab: 0
};

/** Direction in which a key scrolls; null if it doesn't. Space presses the button or link that has the focus. */
export function scrollDirection({ key, shiftKey, target }: KeyboardEvent): Direction | null {
  if (key !== ' ') return KEYS[key] ?? null;
  if ((target as Element | null)?.closest('button, a, input, textarea, select, summary')) return null;
  return shiftKey ? -1 : 1;
}
