import { beforeEach, expect, it, vi } from 'vitest';

const { loadMessages, setLocale, toast } = vi.hoisted(() => ({
  loadMessages: vi.fn<(locale: string) => Promise<void>>(),
  setLocale: vi.fn(),
  toast: vi.fn()
}));
vi.mock('#lib/paraglide/groups/initial.js', () => ({ loadMessages }));
vi.mock('#lib/ui/toast/toast.svelte.ts', () => ({ toast }));
vi.mock('./locale.ts', async (original) => ({ ...(await original<object>()), setLocale }));

const { changeLanguage } = await import('./change-language.ts');

beforeEach(() => vi.clearAllMocks());

it('loads the texts of the language before the page is reloaded', async () => {
  loadMessages.mockImplementation(() => {
    expect(setLocale).not.toHaveBeenCalled();
    return Promise.resolve();
  });
  expect(await changeLanguage('de')).toBe(true);
  expect(loadMessages.mock.calls).toEqual([['de']]);
  expect(setLocale.mock.calls).toEqual([['de']]);
});

it('stays in the language whose texts are there', async () => {
  loadMessages.mockRejectedValue(new TypeError('Failed to fetch dynamically imported module'));
  expect(await changeLanguage('de')).toBe(false);
  expect(setLocale).not.toHaveBeenCalled();
  expect(toast).toHaveBeenCalledOnce();
});
