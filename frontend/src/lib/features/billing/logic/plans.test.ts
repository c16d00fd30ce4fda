import { expect, it } from 'vitest';
import type { Plan } from '../api.ts';
import { furtherFeatures, inOrder } from './plans.ts';

const plan = (name: string, more: Partial<Plan>): Plan => ({
  id: name,
  name,
  kind: 'subscription',
  interval: 'month',
  prices: [],
  credits: 0,
  quotas: {},
  features: [],
  trial_days: 0,
  is_active: true,
  ...more
});
const usd = (amount: number) => ({ amount, currency: 'USD' });
const vnd = (amount: number) => ({ amount, currency: 'VND' });
const names = (plans: readonly Plan[], currency?: string) => inOrder(plans, currency).map(({ name }) => name);

it('sorts plans by interval, then by price in the shown currency', () => {
  const plans = [
    plan('large year', { interval: 'year', prices: [usd(79_000), vnd(5)] }),
    plan('large', { prices: [usd(7_900), vnd(1)] }),
    plan('elsewhere', { prices: [vnd(2)] }),
    plan('small', { prices: [usd(2_400), vnd(3)] }),
    plan('small year', { interval: 'year', prices: [usd(24_000), vnd(6)] })
  ];
  expect(names(plans, 'USD')).toEqual(['small', 'large', 'elsewhere', 'small year', 'large year']);
  expect(names(plans, 'VND')).toEqual(['large', 'elsewhere', 'small', 'large year', 'small year']);
});

it('sorts credit packs by their credits', () => {
  const pack = (credits: number, amount: number) =>
    plan(`${credits}`, { kind: 'credits', interval: null, credits, prices: [usd(amount)] });
  expect(names([pack(5_000, 1), pack(500, 9), pack(1_000, 5)], 'USD')).toEqual(['500', '1000', '5000']);
});

it('drops features that repeat the credit amount', () => {
  const of = (credits: number, ...features: string[]) => furtherFeatures({ credits: credits * 1_000_000, features });
  expect(of(2_000, '2,000 credits a month', 'API keys', 'API keys')).toEqual(['API keys']);
  expect(of(24_000, '24.000 credit cho cả năm', '2 months free')).toEqual(['2 months free']);
  expect(of(2_000, '2 000 Credits', '12,000 credits', '2,000,000 credits', '200 credits as a gift')).toEqual([
    '12,000 credits',
    '2,000,000 credits',
    '200 credits as a gift'
  ]);
  expect(of(2_000, '2000 messages', 'Credits never expire')).toEqual(['2000 messages', 'Credits never expire']);
});
