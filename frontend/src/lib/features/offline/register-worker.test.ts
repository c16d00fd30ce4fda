import { afterEach, expect, it, vi } from 'vitest';
import { registerWorker } from './register-worker.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Fake page that is loading, in a browser with service workers. */
function page(readyState: DocumentReadyState) {
  vi.useFakeTimers();
  const register = vi.fn(() => Promise.resolve());
  const window = new EventTarget();
  vi.stubGlobal('navigator', { serviceWorker: { register } });
  vi.stubGlobal('document', { readyState });
  vi.stubGlobal('addEventListener', window.addEventListener.bind(window));
  return { register, load: () => window.dispatchEvent(new Event('load')) };
}

it('registers the worker five seconds after the page has loaded', () => {
  const { register, load } = page('interactive');
  registerWorker();
  vi.advanceTimersByTime(60_000);
  expect(register).not.toHaveBeenCalled();
  load();
  vi.advanceTimersByTime(4_999);
  expect(register).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(register.mock.calls).toEqual([['/service-worker.js', { type: 'module' }]]);
});

it('registers the worker if the page has already loaded', () => {
  const { register } = page('complete');
  registerWorker();
  vi.advanceTimersByTime(5_000);
  expect(register).toHaveBeenCalledOnce();
});

it('does nothing in a browser without service workers', () => {
  page('complete');
  vi.stubGlobal('navigator', {});
  expect(registerWorker).not.toThrow();
});
