/** Notes that the user has dismissed, stored on this device. */
import type { App } from '#lib/app/app.ts';
import { perAccount } from '#lib/app/per-account.ts';
import { persistentStorage } from '#lib/util/browser-storage.ts';

const STORAGE_KEY = 'natter.put-away';
/** Maximum number of stored notes; the oldest ones are removed. */
const MAX_ENTRIES = 60;

type KeyValueStorage = Pick<Storage, 'getItem' | 'setItem'>;

export class DismissedNotesStore {
  /** Time of dismissal in milliseconds since 1970, by account and note. */
  #since = $state.raw<Readonly<Record<string, number>>>({});
  readonly #account: string;
  readonly #storage: KeyValueStorage | undefined;

  constructor(account: string, storage: KeyValueStorage | undefined) {
    this.#account = account;
    this.#storage = storage;
    this.#since = read(storage);
  }

  /** Whether a note is dismissed. `lasting`: time in milliseconds after which it is shown again. */
  has(what: string, lasting = Infinity): boolean {
    const since = this.#since[this.#keyOf(what)];
    return since !== undefined && Date.now() - since < lasting;
  }

  dismiss(what: string): void {
    // Includes the notes that other tabs have stored meanwhile.
    const all = Object.entries({ ...read(this.#storage), ...this.#since, [this.#keyOf(what)]: Date.now() });
    this.#since = Object.fromEntries(all.toSorted(([, a], [, b]) => b - a).slice(0, MAX_ENTRIES));
    try {
      this.#storage?.setItem(STORAGE_KEY, JSON.stringify(this.#since));
    } catch {
      // If storage is full or blocked, the note is dismissed as long as the page.
    }
  }

  #keyOf(what: string): string {
    return `${this.#account}/${what}`;
  }
}

function read(storage: KeyValueStorage | undefined): Record<string, number> {
  try {
    const kept: unknown = JSON.parse(storage?.getItem(STORAGE_KEY) ?? '{}');
    if (typeof kept !== 'object' || kept === null) return {};
    return Object.fromEntries(Object.entries(kept).filter(([, since]) => typeof since === 'number'));
  } catch {
    return {};
  }
}

/** Dismissed notes of the current account. */
export const dismissedNotesOf = perAccount(
  ({ session }: Pick<App, 'session'>) => new DismissedNotesStore(session.account?.id ?? '', persistentStorage)
);
