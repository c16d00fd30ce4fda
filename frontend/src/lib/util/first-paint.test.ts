import { afterEach, expect, it, vi } from 'vitest';

afterEach(() => {
  vi.useRealTimers();
  vi.resetModules();
});

/** Loads the module anew; returns it with a spy for the delayed work. */
async function opened() {
  vi.resetModules();
  vi.useFakeTimers();
  const { awaitSeen, markPainted, painted } = await import('./first-paint.ts');
  const begin = vi.fn();
  void painted.then(begin);
  return { awaitSeen, markPainted, begin };
}

it('has what can wait begin once what one came to see is there', async () => {
  const { awaitSeen, markPainted, begin } = await opened();
  awaitSeen();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(begin).not.toHaveBeenCalled();
  markPainted();
  await vi.advanceTimersByTimeAsync(0);
  expect(begin).toHaveBeenCalledOnce();
});

it('does not wait for what takes too long', async () => {
  const { awaitSeen, begin } = await opened();
  awaitSeen();
  await vi.advanceTimersByTimeAsync(3_000);
  expect(begin).toHaveBeenCalledOnce();
});
