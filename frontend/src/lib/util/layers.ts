/**
 * Layers above the page on phones, such as dialogs, sheets, menus and the side panel. The back button closes the top one, so each layer has an entry
 * in the history. If a layer is closed in another way, its entry stays as a spare one: the next layer uses it again, and going back skips it. (It
 * isn't removed by `history.back()`, because that would abort a navigation that is just starting.)
 */
import { tick } from 'svelte';

/** Functions of the browser's history that are used here. */
export interface Entries {
  /** Adds an entry for the same page. */
  push(layers: string[]): void;
  back(): void;
}

interface Layer {
  key: string;
  readonly close: () => void;
}

/** Layers that are open, and those that the current history entry contains. */
export class Layers {
  readonly #entries: Entries;
  readonly #open: Layer[] = [];
  #known: string[] = [];
  #count = 0;
  /** Whether spare entries are being skipped. */
  #isPassing = false;
  /** Whether back was pressed while no layer is open, so that the page before must be reached. */
  #isLeaving = false;

  constructor(entries: Entries) {
    this.#entries = entries;
  }

  /** Adds a layer. Returns a function that must be called when the layer has been closed. */
  add(close: () => void): () => void {
    const layer = { key: this.#spare() ?? this.#push(), close };
    this.#open.push(layer);
    return () => {
      const at = this.#open.indexOf(layer);
      if (at >= 0) this.#open.splice(at, 1);
    };
  }

  /** Handles a navigation to an entry with the layers `known`. */
  entered(known: string[]): void {
    this.#known = known;
  }

  /** Handles that back or forward has led to an entry with the layers `known`. */
  async popped(known: string[], isSamePage: boolean): Promise<void> {
    if (!this.#isPassing) this.#isLeaving = isSamePage && this.#spare() !== undefined;
    this.#known = known;
    const closed = this.#open.filter(({ key }) => !known.includes(key));
    if (closed.length > 0) {
      this.#isPassing = this.#isLeaving = false;
      for (const { close } of closed.toReversed()) close();
      await tick();
      // A layer that asks for a confirmation stays open. It gets a new entry, so that back can close it later.
      for (const layer of closed) if (this.#open.includes(layer)) layer.key = this.#push();
      return;
    }
    this.#isPassing = this.#spare() !== undefined;
    if (this.#isPassing || this.#isLeaving) {
      if (!this.#isPassing) this.#isLeaving = false;
      this.#entries.back();
    }
  }

  /** Key of the top layer of the current entry if that isn't open any more; otherwise undefined. */
  #spare(): string | undefined {
    const top = this.#known.at(-1);
    return this.#open.some(({ key }) => key === top) ? undefined : top;
  }

  #push(): string {
    // The time distinguishes the layers from those of an earlier visit, whose entries are still in the history.
    const key = `${Date.now().toString(36)}-${(this.#count += 1)}`;
    this.#known = [...this.#known, key];
    this.#entries.push(this.#known);
    return key;
  }
}
