import { expect, it } from 'vitest';
import { spans } from './spans.ts';

// Midnight in local time.
const midnight = (date: string) => new Date(`${date}T00:00:00`);
const now = midnight('2026-11-24').getTime() + 10 * 3_600_000;
const day = (date: string, count: number) => ({ begins_at: midnight(date).toISOString(), count });

it('groups days into at most twelve bars', () => {
  expect(spans([], now)).toEqual([]);
  expect(spans([day('2026-11-23', 2), day('2026-11-24', 1)], now).map(({ count }) => count)).toEqual([2, 1]);
  expect(spans([day('2026-11-23', 2)], now).map(({ from }) => from)).toEqual([
    midnight('2026-11-23').getTime(),
    midnight('2026-11-24').getTime()
  ]);
  const weeks = spans([day('2026-09-15', 3), day('2026-09-16', 4), day('2026-11-24', 1)], now);
  expect(weeks).toHaveLength(11);
  expect([weeks[0]?.count, weeks.at(-1)?.count]).toEqual([7, 1]);
  const years = spans([day('2001-01-01', 1), day('2026-11-24', 5)], now);
  expect(years.length).toBeLessThanOrEqual(12);
  expect(years.reduce((sum, { count }) => sum + count, 0)).toBe(6);
});
