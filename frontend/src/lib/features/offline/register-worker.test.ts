import { afterEach, expect, it, vi } from 'vitest';
import { registerWorker } from './register-worker.ts';
import { LANGUAGE_MESSAGE, readLanguage } from './worker-language.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Fake page that is loading, in a browser with service workers. */
function page(readyState: DocumentReadyState) {
  vi.useFakeTimers();
  const postMessage = vi.fn();
  const register = vi.fn(() => Promise.resolve({ active: { postMessage } }));
  const window = new EventTarget();
  const stored = new Map<string, Response>();
  vi.stubGlobal('caches', {
    open: () =>
      Promise.resolve({
        put: (key: string, response: Response) => Promise.resolve(void stored.set(key, response)),
        match: (key: string) => Promise.resolve(stored.get(key)?.clone())
      })
  });
  vi.stubGlobal('navigator', { serviceWorker: { register } });
  vi.stubGlobal('document', { readyState });
  vi.stubGlobal('addEventListener', window.addEventListener.bind(window));
  return { register, postMessage, load: () => window.dispatchEvent(new Event('load')) };
}

it('registers the worker five seconds after the page has loaded', async () => {
  const { register, load } = page('interactive');
  registerWorker();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(register).not.toHaveBeenCalled();
  load();
  await vi.advanceTimersByTimeAsync(4_999);
  expect(register).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  await vi.waitFor(() => expect(register.mock.calls).toEqual([['/service-worker.js', { type: 'module' }]]));
});

it('registers the worker if the page has already loaded', async () => {
  const { register } = page('complete');
  registerWorker();
  await vi.advanceTimersByTimeAsync(5_000);
  await vi.waitFor(() => expect(register).toHaveBeenCalledOnce());
});

it('stores the language for the worker before it registers it', async () => {
  const { register, postMessage } = page('complete');
  const languages: (string | undefined)[] = [];
  register.mockImplementation(async () => {
    languages.push(await readLanguage());
    return { active: { postMessage } };
  });
  registerWorker();
  await vi.advanceTimersByTimeAsync(5_000);
  await vi.waitFor(() => expect(postMessage.mock.calls).toEqual([[LANGUAGE_MESSAGE]]));
  expect(languages).toEqual(['en']);
});

it('does nothing in a browser without service workers', () => {
  page('complete');
  vi.stubGlobal('navigator', {});
  expect(registerWorker).not.toThrow();
});
