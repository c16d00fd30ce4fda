/**
 * Layers above the page on phones: dialogs, sheets, menus, pictures, the side panel. The back button closes the top one. Each layer has a history
 * entry. If a layer is closed by other means its entry stays as a spare one: the next layer reuses it, and back skips it. (Calling history.back()
 * at that moment would abort a navigation that is just starting.)
 */
import { tick } from 'svelte';

/** Browser history API used here. */
export interface Entries {
  /** Pushes an entry for the same page. */
  push(layers: string[]): void;
  back(): void;
}

interface Layer {
  key: string;
  readonly close: () => void;
}

/** Open layers and those known to the history entry. */
export class Layers {
  readonly #entries: Entries;
  readonly #open: Layer[] = [];
  #known: string[] = [];
  #count = 0;
  /** Skipping spare entries. */
  #isPassing = false;
  /** Back was pressed with no layer open: navigate to the previous page. */
  #isLeaving = false;

  constructor(entries: Entries) {
    this.#entries = entries;
  }

  /** Registers a layer; returns a function that reports its end. */
  add(close: () => void): () => void {
    const layer = { key: this.#spare() ?? this.#push(), close };
    this.#open.push(layer);
    return () => {
      const at = this.#open.indexOf(layer);
      if (at >= 0) this.#open.splice(at, 1);
    };
  }

  /** Handles a navigation; `known` are the layers of the new entry. */
  entered(known: string[]): void {
    this.#known = known;
  }

  /** Handles back and forward to an entry with these layers. */
  async popped(known: string[], isSamePage: boolean): Promise<void> {
    if (!this.#isPassing) this.#isLeaving = isSamePage && this.#spare() !== undefined;
    this.#known = known;
    const closed = this.#open.filter(({ key }) => !known.includes(key));
    if (closed.length > 0) {
      this.#isPassing = this.#isLeaving = false;
      for (const { close } of closed.toReversed()) close();
      await tick();
      // A layer that must confirm first stays open and remains closable by back.
      for (const layer of closed) if (this.#open.includes(layer)) layer.key = this.#push();
      return;
    }
    this.#isPassing = this.#spare() !== undefined;
    if (this.#isPassing || this.#isLeaving) {
      if (!this.#isPassing) this.#isLeaving = false;
      this.#entries.back();
    }
  }

  /** Top layer of the entry that isn't open. */
  #spare(): string | undefined {
    const top = this.#known.at(-1);
    return this.#open.some(({ key }) => key === top) ? undefined : top;
  }

  #push(): string {
    // Distinguishes layers from those of an earlier visit.
    const key = `${Date.now().toString(36)}-${(this.#count += 1)}`;
    this.#known = [...this.#known, key];
    this.#entries.push(this.#known);
    return key;
  }
}
