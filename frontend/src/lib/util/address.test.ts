import { afterEach, expect, test, vi } from 'vitest';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

/** Loads the module with these globals, as in a page or in a service worker. */
async function loaded(globals: Record<string, unknown>) {
  vi.resetModules();
  for (const [name, value] of Object.entries(globals)) vi.stubGlobal(name, value);
  return import('./address.ts');
}

test('uses paths as URLs at the root', async () => {
  const { base, withBase, absoluteUrl, pathOf, isBelow } = await loaded({
    natterBase: '',
    location: { origin: 'https://chat.test', pathname: '/c/1' }
  });
  expect([base, withBase('/c/new'), absoluteUrl('/c/new')]).toEqual(['', '/c/new', 'https://chat.test/c/new']);
  for (const pathname of ['/', '/c/1', '/chat/c/1']) {
    expect(pathOf({ pathname })).toBe(pathname);
    expect(isBelow(pathname)).toBe(true);
  }
});

test('prefixes URLs with the base path', async () => {
  const { base, withBase, absoluteUrl, pathOf, isBelow } = await loaded({
    natterBase: '/chat',
    location: { origin: 'https://example.test', pathname: '/chat/c/1' }
  });
  expect([base, withBase('/'), absoluteUrl('/c/1')]).toEqual(['/chat', '/chat/', 'https://example.test/chat/c/1']);
  expect(['/chat', '/chat/', '/chat/c/1', '/chat/chat'].map((pathname) => pathOf({ pathname }))).toEqual([
    '/',
    '/',
    '/c/1',
    '/chat'
  ]);
  expect(['/chatter', '/', '/c/1'].map(isBelow)).toEqual([false, false, false]);
  expect(pathOf({ pathname: '/chatter/c/1' })).toBe('/chatter/c/1');
});

test('derives the base path from the URL of the service worker', async () => {
  const worker = (pathname: string) => loaded({ natterBase: undefined, registration: {}, location: { pathname } });
  expect((await worker('/service-worker.js')).base).toBe('');
  expect((await worker('/teams/chat/service-worker.js')).base).toBe('/teams/chat');
});
