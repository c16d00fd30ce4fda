import { afterEach, expect, it, vi } from 'vitest';

afterEach(() => {
  vi.useRealTimers();
  vi.resetModules();
});

/** Reloads the module; returns it with a spy for the delayed work. */
async function opened() {
  vi.resetModules();
  vi.useFakeTimers();
  const { deferUntilPainted, markPainted, painted } = await import('./first-paint.ts');
  const begin = vi.fn();
  void painted.then(begin);
  return { deferUntilPainted, markPainted, begin };
}

it('starts deferred work once the page is painted', async () => {
  const { deferUntilPainted, markPainted, begin } = await opened();
  deferUntilPainted();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(begin).not.toHaveBeenCalled();
  markPainted();
  await vi.advanceTimersByTimeAsync(0);
  expect(begin).toHaveBeenCalledOnce();
});

it('starts deferred work after three seconds at the latest', async () => {
  const { deferUntilPainted, begin } = await opened();
  deferUntilPainted();
  await vi.advanceTimersByTimeAsync(3_000);
  expect(begin).toHaveBeenCalledOnce();
});
