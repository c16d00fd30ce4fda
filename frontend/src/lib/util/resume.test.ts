import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { onResume } from './resume.ts';

const page = Object.assign(new EventTarget(), { visibilityState: 'visible' });
const browser = new EventTarget();

function look(visibilityState: string) {
  page.visibilityState = visibilityState;
  page.dispatchEvent(new Event('visibilitychange'));
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('document', page);
  vi.stubGlobal('addEventListener', browser.addEventListener.bind(browser));
  vi.stubGlobal('removeEventListener', browser.removeEventListener.bind(browser));
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it('reports a page that becomes visible after a while or comes online, until unsubscribed', () => {
  const woken = vi.fn();
  const stop = onResume(woken);
  look('visible');
  look('hidden');
  vi.advanceTimersByTime(3_000);
  look('visible');
  expect(woken).not.toHaveBeenCalled();
  look('hidden');
  vi.advanceTimersByTime(60_000);
  look('visible');
  expect(woken).toHaveBeenCalledTimes(1);
  browser.dispatchEvent(new Event('online'));
  expect(woken).toHaveBeenCalledTimes(2);
  stop();
  look('hidden');
  vi.advanceTimersByTime(60_000);
  look('visible');
  browser.dispatchEvent(new Event('online'));
  expect(woken).toHaveBeenCalledTimes(2);
});
