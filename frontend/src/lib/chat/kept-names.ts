import type { Id } from '#lib/api/types.ts';
import type { DraftStorage } from '#lib/stores/drafts.svelte.ts';
import type { Name } from './mentions.ts';

/**
 * Whom the names in a draft mean, kept with it in this browser: of several with one name, or many people, a text alone
 * doesn’t say it.
 */
export class KeptNames {
  readonly #storage: DraftStorage | undefined;
  readonly #key: string;

  constructor(storage: DraftStorage | undefined, userId: Id, draft: string) {
    this.#storage = storage;
    this.#key = `natter.meant.${userId}.${draft}`;
  }

  /** Who was chosen for it, the last one last. */
  all(): Name[] {
    try {
      const kept: unknown = JSON.parse(this.#storage?.getItem(this.#key) ?? '[]');
      return Array.isArray(kept) ? kept.filter(isName) : [];
    } catch {
      return [];
    }
  }

  add({ id, name, kind }: Name): void {
    if (!id) return;
    const others = this.all().filter((one) => one.id !== id);
    try {
      this.#storage?.setItem(this.#key, JSON.stringify([...others, { id, name, kind }]));
    } catch {
      // Where nothing can be kept they are known as long as the page.
    }
  }

  /** With the draft. */
  forget(): void {
    this.#storage?.removeItem(this.#key);
  }
}

function isName(kept: unknown): kept is Name {
  const { id, name, kind: who } = (kept ?? {}) as Partial<Record<keyof Name, unknown>>;
  return typeof id === 'string' && typeof name === 'string' && (who === 'person' || who === 'assistant');
}
