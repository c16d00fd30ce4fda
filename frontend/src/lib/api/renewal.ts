/** Idempotency key of the session refresh in progress, stored where all tabs and the service worker can read it. */
import type { Renewal } from './client.ts';
import { base } from '#lib/util/address.ts';

/** Name of the cache that pages and the service worker share. */
export const RENEWAL = 'natter-renewal';
const REFRESH_URL = `${base}/r1/auth/refresh`;

export class BrowserRenewal implements Renewal {
  /** Fallback for pages without `caches`, such as those on plain HTTP. */
  readonly #storage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> | undefined;

  constructor(storage?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>) {
    this.#storage = 'caches' in globalThis ? undefined : storage;
  }

  async read(): Promise<string | undefined> {
    if (this.#storage) return this.#storage.getItem(RENEWAL) ?? undefined;
    return (await this.#try((cache) => cache.match(REFRESH_URL)))?.text();
  }

  async store(key: string): Promise<void> {
    if (this.#storage) this.#storage.setItem(RENEWAL, key);
    else await this.#try((cache) => cache.put(REFRESH_URL, new Response(key)));
  }

  async clear(): Promise<void> {
    if (this.#storage) this.#storage.removeItem(RENEWAL);
    else await this.#try((cache) => cache.delete(REFRESH_URL));
  }

  /** Runs `act` with the cache. Returns undefined if that is unavailable: the key is then lost with the page. */
  async #try<T>(act: (cache: Cache) => Promise<T>): Promise<T | undefined> {
    try {
      return await act(await caches.open(RENEWAL));
    } catch {
      return undefined;
    }
  }
}
