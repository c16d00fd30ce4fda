import { afterEach, beforeEach, expect, it, vi } from 'vitest';

/** Reloads the module in a browser with these languages and this stored choice. */
async function startIn(languages: string[], stored?: string) {
  const items = new Map(stored === undefined ? [] : [['PARAGLIDE_LOCALE', stored]]);
  const reload = vi.fn();
  vi.stubGlobal('window', {});
  vi.stubGlobal('location', { reload });
  vi.stubGlobal('navigator', { languages });
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => items.set(key, value)
  });
  return { ...(await import('./locale.ts')), reload, stored: () => items.get('PARAGLIDE_LOCALE') };
}

beforeEach(() => vi.resetModules());
afterEach(() => vi.unstubAllGlobals());

it.each([
  [['vi'], undefined, 'vi'],
  [['it', 'vi-VN', 'en'], undefined, 'vi'],
  [['it', 'fr-CA', 'en'], undefined, 'fr'],
  [['EN-us', 'vi'], undefined, 'en'],
  [['it'], undefined, 'en'],
  [[], undefined, 'en'],
  [['vi'], 'en', 'en'],
  [['en'], 'VI', 'vi'],
  [['vi'], 'it', 'vi']
])('with browser languages %j and stored %s the language is %s', async (languages, stored, expected) => {
  const app = await startIn(languages, stored);
  expect(app.getLocale()).toBe(expected);
  expect(app.stored()).toBe(expected);
});

it('stores another language and reloads the page', async () => {
  const app = await startIn(['en']);
  app.setLocale('en');
  expect(app.reload).not.toHaveBeenCalled();
  app.setLocale('vi');
  expect(app.reload).toHaveBeenCalledOnce();
  expect(app.stored()).toBe('vi');
  expect(app.getLocale()).toBe('en');
});

it('is English outside of a browser', async () => {
  vi.stubGlobal('window', undefined);
  const { getLocale } = await import('./locale.ts');
  expect(getLocale()).toBe('en');
});
