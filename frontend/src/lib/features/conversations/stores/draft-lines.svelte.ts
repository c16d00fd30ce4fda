import { SvelteMap } from 'svelte/reactivity';
import type { Id } from '#lib/api/types.ts';

/** Maximum number of characters of a draft that the list of conversations shows. */
const MAX_LENGTH = 200;

/** Beginnings of drafts, as the list of conversations shows them. */
export class DraftLinesStore {
  readonly #lines = new SvelteMap<Id, string>();

  get(id: Id): string {
    return this.#lines.get(id) ?? '';
  }

  set(id: Id, text: string): void {
    const line = text.slice(0, MAX_LENGTH).trim();
    if (line === '') this.#lines.delete(id);
    else this.#lines.set(id, line);
  }

  clear(): void {
    this.#lines.clear();
  }
}
