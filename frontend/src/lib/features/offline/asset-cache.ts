/**
 * Cache of API responses and pictures for offline use. Its total size is limited; the least recently used entries are evicted. The index is read once
 * when the service worker starts.
 */
export const READ_CACHE = 'natter-read-2';
export const PICTURE_CACHE = 'natter-pictures-1';
export type Kind = typeof READ_CACHE | typeof PICTURE_CACHE;

const MAX_RESPONSES = 200;
const MAX_BYTES = 50 * 1024 * 1024;
/** Maximum size of a response, in bytes. Thumbnails are smaller; other files aren't cached. */
const MAX_RESPONSE_BYTES = 2 * 1024 * 1024;
const SIZE_HEADER = 'x-natter-size';

interface CacheEntry {
  readonly kind: Kind;
  readonly size: number;
}

/** Whether a request may change which account is signed in. Pages report the sign-ins by OAuth redirect. */
export function changesAccount(method: string, path: string): boolean {
  return method !== 'PATCH' && /^\/r1\/(auth\/(logout|signin|signup|passkeys\/signin\/finish)|users\/me$)/.test(path);
}

export interface Bounds {
  readonly bytes: number;
  readonly answers: number;
  readonly largest: number;
}

export class OfflineCache {
  readonly #caches: CacheStorage;
  readonly #bounds: Bounds;
  /** Entries by URL, least recently used first. */
  #known: Promise<Map<string, CacheEntry>> | undefined;
  #era = 0;

  constructor(
    store: CacheStorage,
    bounds: Bounds = { bytes: MAX_BYTES, answers: MAX_RESPONSES, largest: MAX_RESPONSE_BYTES }
  ) {
    this.#caches = store;
    this.#bounds = bounds;
  }

  /** Number of times that the cache was cleared. A response isn't stored if it was requested before the last time. */
  get era(): number {
    return this.#era;
  }

  async find(kind: Kind, url: string): Promise<Response | undefined> {
    try {
      const cache = await this.#caches.open(kind);
      const response = await cache.match(url, { ignoreVary: true });
      if (response) await this.#touch(url);
      return response;
    } catch {
      return undefined;
    }
  }

  async store(kind: Kind, url: string, response: Response, era: number): Promise<void> {
    try {
      if (Number(response.headers.get('content-length')) > this.#bounds.largest) return;
      const body = await response.blob();
      if (body.size > this.#bounds.largest) return;
      const known = await this.#all();
      const cache = await this.#caches.open(kind);
      if (era !== this.#era) return;
      const { status, statusText } = response;
      const headers = new Headers(response.headers);
      // The stored body is decoded, so these headers don't describe it any more.
      for (const name of ['content-encoding', 'content-length']) headers.delete(name);
      headers.set(SIZE_HEADER, String(body.size));
      // Deleted first, because that makes it the last, and so the most recent, entry of the cache.
      await cache.delete(url);
      await cache.put(url, new Response(body, { status, statusText, headers }));
      if (era !== this.#era) return;
      known.delete(url);
      known.set(url, { kind, size: body.size });
      await this.#tidy(known);
    } catch {
      // If the storage is full, the response isn't cached.
    }
  }

  /** Changes the JSON of cached responses. `change` returns undefined for those that stay as they are. */
  async update(change: (url: URL, body: unknown) => unknown): Promise<void> {
    const { era } = this;
    const cache = await this.#caches.open(READ_CACHE);
    for (const [url, { kind }] of [...(await this.#all())]) {
      const response = kind === READ_CACHE ? await cache.match(url, { ignoreVary: true }) : undefined;
      const { headers } = response ?? {};
      const body = headers?.get('content-type')?.includes('json')
        ? await response?.json().catch(() => undefined)
        : undefined;
      const changed = body === undefined ? undefined : change(new URL(url), body);
      if (changed !== undefined)
        await this.store(READ_CACHE, url, new Response(JSON.stringify(changed), { headers }), era);
    }
  }

  async remove(kind: Kind, url: string): Promise<void> {
    const known = await this.#all();
    known.delete(url);
    await (await this.#caches.open(kind)).delete(url);
  }

  /** Deletes all entries. Called at sign-out. */
  async clear(): Promise<void> {
    this.#era += 1;
    this.#known = Promise.resolve(new Map());
    await Promise.all([READ_CACHE, PICTURE_CACHE].map((kind) => this.#caches.delete(kind)));
  }

  async #touch(url: string): Promise<void> {
    const known = await this.#all();
    const one = known.get(url);
    if (!one) return;
    known.delete(url);
    known.set(url, one);
  }

  async #tidy(known: Map<string, CacheEntry>): Promise<void> {
    let bytes = 0;
    let answers = 0;
    for (const { kind, size } of known.values()) {
      bytes += size;
      if (kind === READ_CACHE) answers += 1;
    }
    const old: [string, Kind][] = [];
    for (const [url, { kind, size }] of known) {
      if (bytes > this.#bounds.bytes || (kind === READ_CACHE && answers > this.#bounds.answers)) {
        bytes -= size;
        if (kind === READ_CACHE) answers -= 1;
        known.delete(url);
        old.push([url, kind]);
      } else if (bytes <= this.#bounds.bytes && answers <= this.#bounds.answers) break;
    }
    for (const [url, kind] of old) await (await this.#caches.open(kind)).delete(url);
  }

  #all(): Promise<Map<string, CacheEntry>> {
    return (this.#known ??= this.#read());
  }

  async #read(): Promise<Map<string, CacheEntry>> {
    const known = new Map<string, CacheEntry>();
    for (const kind of [PICTURE_CACHE, READ_CACHE] as const) {
      const cache = await this.#caches.open(kind);
      for (const { url } of await cache.keys()) {
        const size = (await cache.match(url, { ignoreVary: true }))?.headers.get(SIZE_HEADER);
        known.set(url, { kind, size: Number(size ?? 0) });
      }
    }
    return known;
  }
}
