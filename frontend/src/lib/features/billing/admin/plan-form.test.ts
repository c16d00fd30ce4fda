import { expect, it } from 'vitest';
import type { Plan } from '../api.ts';
import { definitionOf, linesOf, priceProblem, problems, valuesOf } from './plan-form.ts';

const TEAM: Plan = {
  id: 'p1',
  name: 'Team',
  kind: 'subscription',
  interval: 'month',
  prices: [
    { currency: 'USD', amount: 2_450 },
    { currency: 'VND', amount: 590_000 }
  ],
  credits: 2_000_000_000,
  quotas: { answers: 50, storage: 2_684_354_560, members: 12 },
  features: ['Full history', 'Search'],
  trial_days: 14,
  is_active: true
};

it('survives a round trip through the form', () => {
  const { name, prices, credits, quotas, features, trial_days } = TEAM;
  expect(definitionOf(valuesOf(TEAM), linesOf(TEAM))).toEqual({
    name,
    prices,
    credits,
    quotas,
    features,
    trial_days
  });
});

it('omits empty limits and empty feature lines', () => {
  const values = { ...valuesOf(TEAM), answers: '', tokens: ' 1000 ', features: 'One\n\n Two ' };
  expect(definitionOf(values, [])).toMatchObject({ quotas: { tokens: 1_000 }, features: ['One', 'Two'] });
});

it('validates prices, limits and periods', () => {
  expect(priceProblem([])).toBeDefined();
  expect(priceProblem([{ currency: 'VND', text: '1.5' }])).toBeDefined();
  expect(priceProblem([{ currency: 'USD', text: '0' }])).toBeDefined();
  expect(priceProblem([{ currency: 'USD', text: '1.50' }])).toBeUndefined();
  expect(problems.tokens('-1')).toBeDefined();
  expect(problems.tokens('')).toBeUndefined();
  expect(problems.credits('many')).toBeDefined();
});

it('accepts the byte counts that it shows', () => {
  const plan = { ...TEAM, quotas: { storage: 1_000_000_000 } };
  expect(problems.storage(valuesOf(plan).storage)).toBeUndefined();
  expect(definitionOf(valuesOf(plan), []).quotas).toEqual(plan.quotas);
});
