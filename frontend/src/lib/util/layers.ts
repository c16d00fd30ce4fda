/**
 * What lies over a page on a phone: dialogs, sheets, menus, pictures, the side panel. Back closes what is on top, one at a time.
 *
 * A layer has an entry of its own in the browser’s history. Where it is closed by other means its entry stays behind as a spare one: the next layer
 * takes it, and Back goes over it. (To go back by script at that moment would break off a navigation that begins just then.)
 */
import { tick } from 'svelte';

/** The browser’s history, as far as it is needed. */
export interface Entries {
  /** Adds an entry for the same page. */
  push(layers: string[]): void;
  back(): void;
}

interface Layer {
  key: string;
  readonly close: () => void;
}

/** The layers that are open, and those that the entry of the history knows. */
export class Layers {
  readonly #entries: Entries;
  readonly #open: Layer[] = [];
  #known: string[] = [];
  #count = 0;
  /** On the way over spare entries. */
  #isPassing = false;
  /** Back was pressed where nothing was open: the page before is meant. */
  #isLeaving = false;

  constructor(entries: Entries) {
    this.#entries = entries;
  }

  /** Answers how to say that it is closed. */
  add(close: () => void): () => void {
    const layer = { key: this.#spare() ?? this.#push(), close };
    this.#open.push(layer);
    return () => {
      const at = this.#open.indexOf(layer);
      if (at >= 0) this.#open.splice(at, 1);
    };
  }

  /** Another page, or a new entry: the layers that it knows. */
  entered(known: string[]): void {
    this.#known = known;
  }

  /** Back or Forward led to an entry that knows these layers, of the page that was shown before or of another. */
  async popped(known: string[], isSamePage: boolean): Promise<void> {
    if (!this.#isPassing) this.#isLeaving = isSamePage && this.#spare() !== undefined;
    this.#known = known;
    const closed = this.#open.filter(({ key }) => !known.includes(key));
    if (closed.length > 0) {
      this.#isPassing = this.#isLeaving = false;
      for (const { close } of closed.toReversed()) close();
      await tick();
      // One that has something to ask first stays, and is still to be closed by Back.
      for (const layer of closed) if (this.#open.includes(layer)) layer.key = this.#push();
      return;
    }
    this.#isPassing = this.#spare() !== undefined;
    if (this.#isPassing || this.#isLeaving) {
      if (!this.#isPassing) this.#isLeaving = false;
      this.#entries.back();
    }
  }

  /** The layer on top that the entry knows and that is not open. */
  #spare(): string | undefined {
    const top = this.#known.at(-1);
    return this.#open.some(({ key }) => key === top) ? undefined : top;
  }

  #push(): string {
    // Unlike those of an earlier visit, which the history may still have.
    const key = `${Date.now().toString(36)}-${(this.#count += 1)}`;
    this.#known = [...this.#known, key];
    this.#entries.push(this.#known);
    return key;
  }
}
