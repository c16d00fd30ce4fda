import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { whenDayChanges } from './today.ts';

describe('whenDayChanges', () => {
  let page: EventTarget;

  beforeEach(() => {
    vi.useFakeTimers({ now: new Date(2026, 10, 20, 23, 58) });
    page = new EventTarget();
    vi.stubGlobal('document', page);
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('runs once at midnight', () => {
    const run = vi.fn();
    const stop = whenDayChanges(run);
    vi.advanceTimersByTime(60_000);
    expect(run).not.toHaveBeenCalled();
    vi.advanceTimersByTime(10 * 60_000);
    expect(run).toHaveBeenCalledOnce();
    stop();
    vi.advanceTimersByTime(48 * 60 * 60_000);
    expect(run).toHaveBeenCalledOnce();
  });

  it('runs as soon as a device that slept through midnight resumes', () => {
    const run = vi.fn();
    const stop = whenDayChanges(run);
    vi.setSystemTime(new Date(2026, 10, 21, 8));
    page.dispatchEvent(new Event('visibilitychange'));
    expect(run).toHaveBeenCalledOnce();
    stop();
    vi.setSystemTime(new Date(2026, 10, 22, 8));
    page.dispatchEvent(new Event('visibilitychange'));
    expect(run).toHaveBeenCalledOnce();
  });
});
