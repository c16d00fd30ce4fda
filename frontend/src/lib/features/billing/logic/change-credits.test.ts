import { expect, it } from 'vitest';
import { creditsOfChange } from './change-credits.ts';

const HALF = Date.parse('2026-11-16T00:00:00Z');
const month = (credits: number) => ({ credits, interval: 'month' }) as const;
const period = (credits: number) => ({
  plan: month(credits),
  period_start: '2026-11-01T00:00:00Z',
  period_end: '2026-12-01T00:00:00Z'
});

it('grants the difference between two plans for the rest of the period', () => {
  expect(creditsOfChange(period(20), month(80), HALF)).toBe(30);
});

it('deducts the rest of the old period from a plan with another interval', () => {
  expect(creditsOfChange(period(20), { credits: 240, interval: 'year' }, HALF)).toBe(230);
});

it('never takes credits', () => {
  expect(creditsOfChange(period(80), month(20), HALF)).toBe(0);
  expect(creditsOfChange(period(20), month(80), Date.parse('2026-12-02T00:00:00Z'))).toBe(0);
});
