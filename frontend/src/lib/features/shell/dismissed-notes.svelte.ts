/** Dismissed notes, stored on this device. */
import type { App } from '#lib/app/app.ts';
import { perAccount } from '#lib/app/per-account.ts';

const STORAGE_KEY = 'natter.put-away';
/** Oldest entries are evicted. */
const MAX_ENTRIES = 60;

type KeyValueStorage = Pick<Storage, 'getItem' | 'setItem'>;

export class DismissedNotesStore {
  /** Dismissal times by account and note. */
  #since = $state.raw<Readonly<Record<string, number>>>({});
  readonly #account: string;
  readonly #storage: KeyValueStorage | undefined;

  constructor(account: string, storage: KeyValueStorage | undefined) {
    this.#account = account;
    this.#storage = storage;
    this.#since = read(storage);
  }

  /** `lasting`: duration in milliseconds after which the note returns. */
  has(what: string, lasting = Infinity): boolean {
    const since = this.#since[this.#keyOf(what)];
    return since !== undefined && Date.now() - since < lasting;
  }

  dismiss(what: string): void {
    // Merges changes of other tabs.
    const all = Object.entries({ ...read(this.#storage), ...this.#since, [this.#keyOf(what)]: Date.now() });
    this.#since = Object.fromEntries(all.toSorted(([, a], [, b]) => b - a).slice(0, MAX_ENTRIES));
    try {
      this.#storage?.setItem(STORAGE_KEY, JSON.stringify(this.#since));
    } catch {
      // Without storage it is dismissed for this visit.
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
  ({ session }: Pick<App, 'session'>) => new DismissedNotesStore(session.account?.id ?? '', browserStorage())
);

function browserStorage(): Storage | undefined {
  try {
    return localStorage;
  } catch {
    return undefined;
  }
}
