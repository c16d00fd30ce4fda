import type { Delta } from '#lib/realtime/state.ts';

/** Delay in milliseconds while the page is hidden, where no animation frames occur. */
const HIDDEN_DELAY = 100;

/** Collects the deltas of streaming answers, so that the page changes at most once per frame. */
export class DeltaBuffer {
  #deltas: Delta[] = [];
  #unschedule: (() => void) | null = null;
  readonly #apply: (deltas: readonly Delta[]) => void;

  constructor(apply: (deltas: readonly Delta[]) => void) {
    this.#apply = apply;
  }

  add(delta: Delta): void {
    this.#deltas.push(delta);
    if (this.#unschedule) return;
    const flush = () => this.flush();
    if (typeof requestAnimationFrame === 'undefined' || document.visibilityState === 'hidden') {
      const timer = setTimeout(flush, HIDDEN_DELAY);
      this.#unschedule = () => clearTimeout(timer);
    } else {
      const frame = requestAnimationFrame(flush);
      this.#unschedule = () => cancelAnimationFrame(frame);
    }
  }

  /** Applies the collected deltas without waiting for the next frame. */
  flush(): void {
    this.#unschedule?.();
    this.#unschedule = null;
    if (this.#deltas.length === 0) return;
    const deltas = this.#deltas;
    this.#deltas = [];
    this.#apply(deltas);
  }

  /** Cancels the scheduled application of deltas, which stay collected. */
  stop(): void {
    this.#unschedule?.();
  }

  clear(): void {
    this.#unschedule?.();
    this.#unschedule = null;
    this.#deltas = [];
  }
}
