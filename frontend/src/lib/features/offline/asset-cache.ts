/**
 * What was read, for when there is no network: answers of the API and pictures, in the browser's caches. All of it has one bound, and what was
 * looked at longest ago goes first. What it holds is read once, when the service worker starts, and counted from then on.
 */
export const READ = 'natter-read-2';
export const PICTURES = 'natter-pictures-1';
export type Kind = typeof READ | typeof PICTURES;

/** Answers that are kept. */
const MOST_READ = 200;
const MOST_BYTES = 50 * 1024 * 1024;
/** A thumbnail has some hundred KB at most; the files themselves are not kept. */
const LARGEST = 2 * 1024 * 1024;
const SIZE = 'x-natter-size';

interface Known {
  readonly kind: Kind;
  readonly size: number;
}

/** Whether a request may have somebody else sit here from now on. By a provider that is no request of a page: whoever arrives from there says so. */
export function isChange(method: string, path: string): boolean {
  return method !== 'PATCH' && /^\/r1\/(auth\/(logout|signin|signup|passkeys\/signin\/finish)|users\/me$)/.test(path);
}

export interface Bounds {
  readonly bytes: number;
  readonly answers: number;
  readonly largest: number;
}

export class Kept {
  readonly #caches: CacheStorage;
  readonly #bounds: Bounds;
  /** By address, oldest first. */
  #known: Promise<Map<string, Known>> | undefined;
  #era = 0;

  constructor(store: CacheStorage, bounds: Bounds = { bytes: MOST_BYTES, answers: MOST_READ, largest: LARGEST }) {
    this.#caches = store;
    this.#bounds = bounds;
  }

  /** Another one after all was forgotten: what was asked for before that is not kept. */
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

  async keep(kind: Kind, url: string, response: Response, era: number): Promise<void> {
    try {
      if (Number(response.headers.get('content-length')) > this.#bounds.largest) return;
      const body = await response.blob();
      if (body.size > this.#bounds.largest) return;
      const known = await this.#all();
      const cache = await this.#caches.open(kind);
      if (era !== this.#era) return;
      const { status, statusText } = response;
      const headers = new Headers(response.headers);
      // The body is as it is read, and not as it came.
      for (const name of ['content-encoding', 'content-length']) headers.delete(name);
      headers.set(SIZE, String(body.size));
      // What is put again is the newest.
      await cache.delete(url);
      await cache.put(url, new Response(body, { status, statusText, headers }));
      if (era !== this.#era) return;
      known.delete(url);
      known.set(url, { kind, size: body.size });
      await this.#tidy(known);
    } catch {
      // There is no room: nothing is kept.
    }
  }

  async drop(kind: Kind, url: string): Promise<void> {
    const known = await this.#all();
    known.delete(url);
    await (await this.#caches.open(kind)).delete(url);
  }

  /** Whoever signs out leaves nothing behind. */
  async forget(): Promise<void> {
    this.#era += 1;
    this.#known = Promise.resolve(new Map());
    await Promise.all([READ, PICTURES].map((kind) => this.#caches.delete(kind)));
  }

  async #touch(url: string): Promise<void> {
    const known = await this.#all();
    const one = known.get(url);
    if (!one) return;
    known.delete(url);
    known.set(url, one);
  }

  async #tidy(known: Map<string, Known>): Promise<void> {
    let bytes = 0;
    let answers = 0;
    for (const { kind, size } of known.values()) {
      bytes += size;
      if (kind === READ) answers += 1;
    }
    const old: [string, Kind][] = [];
    for (const [url, { kind, size }] of known) {
      if (bytes > this.#bounds.bytes || (kind === READ && answers > this.#bounds.answers)) {
        bytes -= size;
        if (kind === READ) answers -= 1;
        known.delete(url);
        old.push([url, kind]);
      } else if (bytes <= this.#bounds.bytes && answers <= this.#bounds.answers) break;
    }
    for (const [url, kind] of old) await (await this.#caches.open(kind)).delete(url);
  }

  #all(): Promise<Map<string, Known>> {
    return (this.#known ??= this.#read());
  }

  async #read(): Promise<Map<string, Known>> {
    const known = new Map<string, Known>();
    for (const kind of [PICTURES, READ] as const) {
      const cache = await this.#caches.open(kind);
      for (const { url } of await cache.keys()) {
        const size = (await cache.match(url, { ignoreVary: true }))?.headers.get(SIZE);
        known.set(url, { kind, size: Number(size ?? 0) });
      }
    }
    return known;
  }
}
