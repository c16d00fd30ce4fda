/**
 * Web storage of the browser, without exceptions: browsers can block it (private windows, policies), and it can be full. What the browser doesn't store
 * is kept until the page is closed.
 */
export type TextStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>;

export class GuardedStorage implements TextStorage {
  readonly #open: () => Storage;
  /** Changes that the browser has refused; null for removed values. */
  readonly #refused = new Map<string, string | null>();

  constructor(open: () => Storage) {
    this.#open = open;
  }

  getItem(key: string): string | null {
    const refused = this.#refused.get(key);
    return refused === undefined ? this.#attempt((storage) => storage.getItem(key), null) : refused;
  }

  setItem(key: string, value: string): void {
    this.#change(key, value, (storage) => storage.setItem(key, value));
  }

  removeItem(key: string): void {
    this.#change(key, null, (storage) => storage.removeItem(key));
  }

  get length(): number {
    return this.#keys().length;
  }

  key(index: number): string | null {
    return this.#keys()[index] ?? null;
  }

  #keys(): string[] {
    const stored = this.#attempt(
      (storage) => Array.from({ length: storage.length }, (_, index) => storage.key(index) ?? ''),
      []
    );
    const keys = new Set([...stored, ...this.#refused.keys()]);
    return [...keys].filter((key) => this.#refused.get(key) !== null);
  }

  #change(key: string, value: string | null, change: (storage: Storage) => void): void {
    const isStored = this.#attempt((storage) => {
      change(storage);
      return true;
    }, false);
    if (isStored) this.#refused.delete(key);
    else this.#refused.set(key, value);
  }

  #attempt<T>(use: (storage: Storage) => T, fallback: T): T {
    try {
      return use(this.#open());
    } catch {
      return fallback;
    }
  }
}

export const persistentStorage = new GuardedStorage(() => localStorage);
/** Storage of this tab. */
export const tabStorage = new GuardedStorage(() => sessionStorage);
