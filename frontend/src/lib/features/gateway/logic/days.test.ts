import { expect, it } from 'vitest';
import { nextDay, daysOf, fillDays, NOTHING, sum } from './days.ts';

const NOW = Date.parse('2026-03-02T23:30:00Z');

it('are days of the server, up to today', () => {
  expect(daysOf('week', NOW)).toEqual([
    '2026-02-24',
    '2026-02-25',
    '2026-02-26',
    '2026-02-27',
    '2026-02-28',
    '2026-03-01',
    '2026-03-02'
  ]);
  expect(daysOf('days', NOW)).toHaveLength(30);
  expect(daysOf('month', NOW)).toEqual(['2026-03-01', '2026-03-02']);
  expect(nextDay('2026-02-28')).toBe('2026-03-01');
});

it('have one group each and add up to the same total', () => {
  const used = { ...NOTHING, key: '2026-03-01', requests: 2, cost: 5 };
  const days = fillDays(daysOf('week', NOW), [used]);
  expect(days.map(({ requests }) => requests)).toEqual([0, 0, 0, 0, 0, 2, 0]);
  expect(sum(days)).toEqual({ ...used, key: '' });
});
