import { beforeEach, describe, expect, it } from 'vitest';
import { isChange, Kept, PICTURES, READ, type Kind } from './asset-cache.ts';

/** As much of a browser's caches as is used. */
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
const open = () => new Kept(caches as unknown as CacheStorage, BOUNDS);
const of = (size: number, headers = {}) => new Response('x'.repeat(size), { headers });

let caches: FakeCaches;
let kept: Kept;
const keep = (kind: Kind, url: string, size: number) => kept.keep(kind, url, of(size), kept.era);

beforeEach(() => {
  caches = new FakeCaches();
  kept = open();
});

describe('what was read', () => {
  it('is there again, as it was read', async () => {
    const response = of(5, { 'content-type': 'image/webp', 'content-encoding': 'gzip' });
    await kept.keep(PICTURES, '/a', response, kept.era);
    const found = await open().find(PICTURES, '/a');
    expect(await found?.text()).toBe('xxxxx');
    expect(found?.headers.get('content-type')).toBe('image/webp');
    expect(found?.headers.has('content-encoding')).toBe(false);
    expect(await kept.find(READ, '/a')).toBeUndefined();
  });

  it('stays within its bound, also after a new start, and what was looked at longest ago goes first', async () => {
    await keep(PICTURES, '/a', 40);
    await keep(READ, '/b', 30);
    await keep(PICTURES, '/c', 30);
    await kept.find(PICTURES, '/a');
    await keep(PICTURES, '/d', 10);
    expect([caches.urls(PICTURES), caches.urls(READ)]).toEqual([['/a', '/c', '/d'], []]);
    kept = open();
    await keep(READ, '/e', 50);
    expect([caches.urls(PICTURES), caches.urls(READ)]).toEqual([['/c', '/d'], ['/e']]);
    // The same once more takes no more room.
    await keep(READ, '/e', 55);
    expect([caches.urls(PICTURES), caches.urls(READ)]).toEqual([['/c', '/d'], ['/e']]);
  });

  it('is so many answers at most, whatever pictures there are', async () => {
    await keep(PICTURES, '/a', 1);
    for (const url of ['/1', '/2', '/3', '/4']) await keep(READ, url, 1);
    expect([caches.urls(PICTURES), caches.urls(READ)]).toEqual([['/a'], ['/2', '/3', '/4']]);
  });

  it('is not what is large', async () => {
    await keep(PICTURES, '/a', 61);
    await kept.keep(PICTURES, '/b', of(1, { 'content-length': '61' }), kept.era);
    expect(caches.urls(PICTURES)).toEqual([]);
  });

  it('is forgotten with the session, and so is what was asked for in it', async () => {
    await keep(PICTURES, '/a', 1);
    await keep(READ, '/b', 1);
    const { era } = kept;
    await kept.forget();
    await kept.keep(READ, '/late', of(1), era);
    expect([...caches.all.values()].flatMap((held) => [...held.keys()])).toEqual([]);
    await keep(READ, '/c', 1);
    expect(caches.urls(READ)).toEqual(['/c']);
  });

  it('is forgotten where somebody else may sit here from now on', () => {
    const made = ['/r1/auth/signin', '/r1/auth/signin/challenge', '/r1/auth/signup', '/r1/auth/passkeys/signin/finish'];
    for (const path of [...made, '/r1/auth/logout']) expect(isChange('POST', path)).toBe(true);
    expect(isChange('DELETE', '/r1/users/me')).toBe(true);
    // Whoever shows once more who they are begins with this, too.
    for (const path of ['/r1/auth/passkeys/signin/start', '/r1/auth/refresh'])
      expect(isChange('POST', path)).toBe(false);
    expect(isChange('PATCH', '/r1/users/me')).toBe(false);
  });
});
