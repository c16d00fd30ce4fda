import { SvelteSet } from 'svelte/reactivity';
import type { Id } from '#lib/api/types.ts';

/** Number of requests that a bulk action sends at the same time. */
const MAX_CONCURRENT = 3;

/** Result of a bulk action: ids of the changed chats, and the number of those whose change failed. */
export interface BulkResult {
  readonly done: Id[];
  readonly failed: number;
}

/** Chats that the user has selected in the list. */
export class ChatSelection {
  readonly #ids = new SvelteSet<Id>();
  /** Chat that was selected or deselected last, from which a range extends. */
  #last: Id | undefined;

  /** Selected ids among those of the list, in its order. */
  among(listed: readonly Id[]): Id[] {
    return listed.filter((id) => this.#ids.has(id));
  }

  has(id: Id): boolean {
    return this.#ids.has(id);
  }

  /** Selects or deselects a chat. `isRange`: also all chats between it and the last one. */
  set(id: Id, isSelected: boolean, listed: readonly Id[] = [], isRange = false): void {
    const [from, to] = [listed.indexOf(this.#last ?? ''), listed.indexOf(id)].sort((a, b) => a - b) as [number, number];
    const ids = isRange && from >= 0 ? listed.slice(from, to + 1) : [id];
    for (const one of ids) {
      if (isSelected) this.#ids.add(one);
      else this.#ids.delete(one);
    }
    this.#last = id;
  }

  setAll(listed: readonly Id[], isSelected: boolean): void {
    this.#ids.clear();
    if (isSelected) for (const id of listed) this.#ids.add(id);
    this.#last = undefined;
  }
}

/** Runs an action for each id, a few at a time. A failure doesn't stop the others. */
export async function runInBulk(ids: readonly Id[], run: (id: Id) => Promise<unknown>): Promise<BulkResult> {
  const done: Id[] = [];
  const waiting = [...ids];
  let failed = 0;
  const work = async () => {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
      try {
        await run(id);
        done.push(id);
      } catch {
        failed += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: MAX_CONCURRENT }, work));
  return { done, failed };
}
