import { SvelteMap } from 'svelte/reactivity';

type DraftStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>;

const PREFIX = 'natter.draft.';
/** A long text is not written to the disk with each key, but when the keys rest. */
const LONG = 4_000;
const REST = 400;

/** What was begun in each conversation and not sent, kept in this browser for each account by itself. */
export class DraftsStore {
  readonly #texts = new SvelteMap<string, string>();
  readonly #storage: DraftStorage | undefined;
  readonly #waiting = new Map<string, ReturnType<typeof setTimeout>>();
  #prefix = PREFIX;

  constructor(storage: DraftStorage | undefined) {
    this.#storage = storage;
  }

  open(userId: string): void {
    this.close();
    this.#prefix = `${PREFIX}${userId}.`;
    for (let index = 0; index < (this.#storage?.length ?? 0); index++) {
      const key = this.#storage?.key(index);
      const text = key?.startsWith(this.#prefix) ? this.#storage?.getItem(key) : null;
      if (key && text) this.#texts.set(key.slice(this.#prefix.length), text);
    }
  }

  close(): void {
    this.#texts.clear();
  }

  /** Where something was begun, and what. */
  all(): ReadonlyMap<string, string> {
    return this.#texts;
  }

  get(conversationId: string): string {
    return this.#texts.get(conversationId) ?? '';
  }

  set(conversationId: string, text: string): void {
    const isEmpty = text.trim() === '';
    if (isEmpty) this.#texts.delete(conversationId);
    else this.#texts.set(conversationId, text);
    const key = this.#prefix + conversationId;
    clearTimeout(this.#waiting.get(key));
    this.#waiting.delete(key);
    if (text.length < LONG) this.#keep(key, isEmpty ? null : text);
    else
      this.#waiting.set(
        key,
        setTimeout(() => this.#keep(key, text), REST)
      );
  }

  #keep(key: string, text: string | null): void {
    this.#waiting.delete(key);
    try {
      if (text === null) this.#storage?.removeItem(key);
      else this.#storage?.setItem(key, text);
    } catch {
      // A full or forbidden storage keeps the draft as long as the page.
    }
  }
}
