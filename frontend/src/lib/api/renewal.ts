/** Which renewal of the session is under way: kept where every tab and the service worker find it. */
import type { Renewal } from './client.ts';
import { base } from '#lib/util/address.ts';

/** The cache that it is kept in: what pages and the service worker have in common. */
export const RENEWAL = 'natter-renewal';
const REFRESH_URL = `${base}/r1/auth/refresh`;

export class BrowserRenewal implements Renewal {
  /** For tabs alone, where there is no service worker: on plain http. */
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

  /** A browser that keeps nothing loses the key with the page. */
  async #try<T>(act: (cache: Cache) => Promise<T>): Promise<T | undefined> {
    try {
      return await act(await caches.open(RENEWAL));
    } catch {
      return undefined;
    }
  }
}
