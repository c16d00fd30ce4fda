import { asText, type Chip } from './query.ts';

type RecentStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

/** Search that the user has made before. */
export interface Recent {
  readonly chips: readonly Chip[];
  readonly text: string;
  /** Number of hits; absent if unknown. */
  readonly count?: number;
}

const MAX_ITEMS = 8;

/** Recent searches of an account, stored in this browser. */
export class RecentSearchesStore {
  items = $state.raw<readonly Recent[]>([]);

  readonly #storage: RecentStorage | undefined;
  readonly #key: string;

  constructor(storage: RecentStorage | undefined, userId: string) {
    this.#storage = storage;
    this.#key = `natter.searches.${userId}`;
    this.items = this.#read();
  }

  add(recent: Recent): void {
    const sameAs = (other: Recent) => signature(other) === signature(recent);
    if (signature(recent) === '') return;
    this.#save([recent, ...this.#read().filter((one) => !sameAs(one))].slice(0, MAX_ITEMS));
  }

  clear(): void {
    this.#save([]);
  }

  #read(): Recent[] {
    try {
      const kept: unknown = JSON.parse(this.#storage?.getItem(this.#key) ?? '[]');
      return Array.isArray(kept) ? kept.filter(isRecent).slice(0, MAX_ITEMS) : [];
    } catch {
      return [];
    }
  }

  #save(items: readonly Recent[]): void {
    this.items = items;
    try {
      if (items.length === 0) this.#storage?.removeItem(this.#key);
      else this.#storage?.setItem(this.#key, JSON.stringify(items));
    } catch {
      // If storage is full or blocked, the searches are kept as long as the page.
    }
  }
}

function signature({ chips, text }: Recent): string {
  return [asText(chips, text), ...chips.map(({ id }) => id ?? '')].join(' ').trim();
}

function isRecent(value: unknown): value is Recent {
  const one = value as Partial<Recent> | null;
  return (
    typeof one?.text === 'string' &&
    Array.isArray(one.chips) &&
    one.chips.every((chip) => typeof chip?.op === 'string' && typeof chip.value === 'string')
  );
}
