import { beforeEach, describe, expect, it } from 'vitest';
import { changesAccount, OfflineCache, PICTURE_CACHE, READ_CACHE, type Kind } from './asset-cache.ts';

/** Minimal fake of the Cache API. */
class FakeCaches {
  readonly all = new Map<string, Map<string, Response>>();

  async open(name: string) {
    const held = this.all.get(name) ?? new Map<string, Response>();
    this.all.set(name, held);
    return {
      match: async (url: string) => held.get(url)?.clone(),
      put: async (url: string, response: Response) => void held.set(url, response),
      delete: async (url: string) => held.delete(url),
      keys: async () => [...held.keys()].map((url) => ({ url }))
    };
  }

  async delete(name: string) {
    return this.all.delete(name);
  }

  urls(kind: Kind) {
    return [...(this.all.get(kind)?.keys() ?? [])];
  }
}

const BOUNDS = { bytes: 100, answers: 3, largest: 60 };
const open = () => new OfflineCache(caches as unknown as CacheStorage, BOUNDS);
const of = (size: number, headers = {}) => new Response('x'.repeat(size), { headers });

let caches: FakeCaches;
let kept: OfflineCache;
const keep = (kind: Kind, url: string, size: number) => kept.store(kind, url, of(size), kept.era);

beforeEach(() => {
  caches = new FakeCaches();
  kept = open();
});

describe('asset cache', () => {
  it('returns a response as it was stored', async () => {
    const response = of(5, { 'content-type': 'image/webp', 'content-encoding': 'gzip' });
    await kept.store(PICTURE_CACHE, '/a', response, kept.era);
    const found = await open().find(PICTURE_CACHE, '/a');
    expect(await found?.text()).toBe('xxxxx');
    expect(found?.headers.get('content-type')).toBe('image/webp');
    expect(found?.headers.has('content-encoding')).toBe(false);
    expect(await kept.find(READ_CACHE, '/a')).toBeUndefined();
  });

  it('stays within its size limit after a restart and evicts the least recently used', async () => {
    await keep(PICTURE_CACHE, '/a', 40);
    await keep(READ_CACHE, '/b', 30);
    await keep(PICTURE_CACHE, '/c', 30);
    await kept.find(PICTURE_CACHE, '/a');
    await keep(PICTURE_CACHE, '/d', 10);
    expect([caches.urls(PICTURE_CACHE), caches.urls(READ_CACHE)]).toEqual([['/a', '/c', '/d'], []]);
    kept = open();
    await keep(READ_CACHE, '/e', 50);
    expect([caches.urls(PICTURE_CACHE), caches.urls(READ_CACHE)]).toEqual([['/c', '/d'], ['/e']]);
    // A response that is stored again takes no additional space.
    await keep(READ_CACHE, '/e', 55);
    expect([caches.urls(PICTURE_CACHE), caches.urls(READ_CACHE)]).toEqual([['/c', '/d'], ['/e']]);
  });

  it('changes the JSON of cached responses', async () => {
    const json = (data: unknown) => Response.json({ data });
    await kept.store(READ_CACHE, 'https://a.example/1', json([1]), kept.era);
    await kept.store(READ_CACHE, 'https://a.example/2', json([2]), kept.era);
    await kept.store(READ_CACHE, 'https://a.example/3', of(3), kept.era);
    await kept.update(({ pathname }, body) => (pathname === '/1' ? { ...(body as object), data: [1, 4] } : undefined));
    const found = await Promise.all(['1', '2'].map((name) => open().find(READ_CACHE, `https://a.example/${name}`)));
    expect(await Promise.all(found.map((response) => response?.json()))).toEqual([{ data: [1, 4] }, { data: [2] }]);
  });

  it('limits the number of responses independently of pictures', async () => {
    await keep(PICTURE_CACHE, '/a', 1);
    for (const url of ['/1', '/2', '/3', '/4']) await keep(READ_CACHE, url, 1);
    expect([caches.urls(PICTURE_CACHE), caches.urls(READ_CACHE)]).toEqual([['/a'], ['/2', '/3', '/4']]);
  });

  it('rejects large responses', async () => {
    await keep(PICTURE_CACHE, '/a', 61);
    await kept.store(PICTURE_CACHE, '/b', of(1, { 'content-length': '61' }), kept.era);
    expect(caches.urls(PICTURE_CACHE)).toEqual([]);
  });

  it('is cleared with the session, including responses in flight', async () => {
    await keep(PICTURE_CACHE, '/a', 1);
    await keep(READ_CACHE, '/b', 1);
    const { era } = kept;
    await kept.clear();
    await kept.store(READ_CACHE, '/late', of(1), era);
    expect([...caches.all.values()].flatMap((held) => [...held.keys()])).toEqual([]);
    await keep(READ_CACHE, '/c', 1);
    expect(caches.urls(READ_CACHE)).toEqual(['/c']);
  });

  it('is cleared by requests that change the account', () => {
    const made = ['/r1/auth/signin', '/r1/auth/signin/challenge', '/r1/auth/signup', '/r1/auth/passkeys/signin/finish'];
    for (const path of [...made, '/r1/auth/logout']) expect(changesAccount('POST', path)).toBe(true);
    expect(changesAccount('DELETE', '/r1/users/me')).toBe(true);
    // The confirmation of identity also uses this path, without changing the account.
    for (const path of ['/r1/auth/passkeys/signin/start', '/r1/auth/refresh'])
      expect(changesAccount('POST', path)).toBe(false);
    expect(changesAccount('PATCH', '/r1/users/me')).toBe(false);
  });
});
