import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { everyMinute } from './clock.ts';

describe('everyMinute', () => {
  let page: EventTarget & { visibilityState: string };

  function look(visibilityState: string) {
    page.visibilityState = visibilityState;
    page.dispatchEvent(new Event('visibilitychange'));
  }

  beforeEach(() => {
    vi.useFakeTimers({ now: new Date(2026, 10, 20, 9, 30, 40) });
    page = Object.assign(new EventTarget(), { visibilityState: 'visible' });
    vi.stubGlobal('document', page);
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('calls all subscribers at the start of a minute with one timer', () => {
    const [one, other] = [vi.fn(), vi.fn()];
    const stops = [everyMinute(one), everyMinute(other)];
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(19_999);
    expect(one).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect([one.mock.calls.length, other.mock.calls.length]).toEqual([1, 1]);
    stops[0]?.();
    vi.advanceTimersByTime(120_000);
    expect([one.mock.calls.length, other.mock.calls.length]).toEqual([1, 3]);
    stops[1]?.();
    expect(vi.getTimerCount()).toBe(0);
    look('visible');
    expect(other).toHaveBeenCalledTimes(3);
  });

  it('pauses while the page is hidden and catches up when it is visible', () => {
    const run = vi.fn();
    const stop = everyMinute(run);
    look('hidden');
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(10 * 60_000);
    expect(run).not.toHaveBeenCalled();
    look('visible');
    expect(run).toHaveBeenCalledTimes(1);
    // The minute has not changed.
    look('hidden');
    look('visible');
    expect(run).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(60_000);
    expect(run).toHaveBeenCalledTimes(2);
    stop();
  });
});
