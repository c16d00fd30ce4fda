import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { StallWatch } from './stall-watch.ts';

describe('StallWatch', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  const begin = () => {
    const growing: { id: string; length: number }[] = [{ id: 'a', length: 0 }];
    const ask = vi.fn(() => Promise.resolve());
    const watch = new StallWatch(() => growing, ask);
    watch.update();
    return { growing, ask, watch };
  };

  it('fetches a stalled answer with increasing delays', async () => {
    const { ask } = begin();
    await vi.advanceTimersByTimeAsync(1_400);
    expect(ask).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(200);
    expect(ask).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(ask.mock.calls.length).toBeLessThan(9);
  });

  it('ignores an answer that grows', async () => {
    const { growing, ask, watch } = begin();
    for (let length = 1; length < 20; length++) {
      await vi.advanceTimersByTimeAsync(1_000);
      growing[0] = { id: 'a', length };
      watch.update();
    }
    expect(ask).not.toHaveBeenCalled();
  });

  it('stops with the answer', async () => {
    const { growing, ask, watch } = begin();
    growing.length = 0;
    watch.update();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(ask).not.toHaveBeenCalled();
  });
});
