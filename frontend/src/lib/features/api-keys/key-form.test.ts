import { describe, expect, it } from 'vitest';
import type { ApiKey } from '#lib/features/auth/api.ts';
import { budgetState } from './key-budget.ts';
import { passthroughChoice, policyOf, problems, valuesOf } from './key-form.ts';

const budget = { limit: 200_000_000, period: 'month', spent: 0, held: 0, resets_at: null } as const;

const PERIODS = { budget: 'month', end_user_budget: 'day' } as const;

describe('API key limits', () => {
  it('survive a round trip through the form', () => {
    const key = {
      name: 'bot',
      scopes: ['gateway'],
      models: ['small'],
      endpoints: [],
      passthrough: ['provider'],
      rpm: 60,
      tpm: null,
      budget,
      end_user_budget: { limit: 1_500_000, period: 'day' },
      model_budgets: { large: { limit: 2_000_000, period: 'week' } }
    };
    const values = valuesOf(key as unknown as ApiKey);
    expect(values).toMatchObject({ budget: '200', end_user_budget: '1.5', rpm: '60', tpm: '', parallel: '' });
    expect(
      policyOf(values, { models: ['small'], endpoints: [], passthrough: ['provider'], end_users: 'headers' }, PERIODS)
    ).toEqual({
      models: ['small'],
      endpoints: [],
      passthrough: ['provider'],
      end_users: 'headers',
      rpm: 60,
      tpm: null,
      parallel: null,
      budget: { limit: 200_000_000, period: 'month' },
      end_user_budget: { limit: 1_500_000, period: 'day' },
      end_user_budgets: {},
      model_budgets: { large: { limit: 2_000_000, period: 'week' } },
      tag_budgets: {}
    });
  });

  it('are unset by an empty field', () => {
    const policy = policyOf(
      valuesOf(undefined),
      { models: [], endpoints: [], passthrough: null, end_users: 'body' },
      PERIODS
    );
    expect(policy).toMatchObject({ rpm: null, tpm: null, parallel: null, budget: null, end_user_budget: null });
  });

  it('map passthrough to all, none or some', () => {
    expect([null, [], ['store' as const]].map(passthroughChoice)).toEqual(['all', 'none', 'some']);
  });

  it('accept whole numbers, and budgets above zero', () => {
    for (const wrong of ['0', '-1', '1.5', 'many', '99999999999']) expect(problems.rpm(wrong), wrong).toBeTruthy();
    for (const wrong of ['0', 'x', '-3']) expect(problems.budget(wrong), wrong).toBeTruthy();
    for (const right of ['', ' 60 ']) expect(problems.rpm(right)).toBeUndefined();
    for (const right of ['', '0.5', '200']) expect(problems.budget(right)).toBeUndefined();
  });

  it('accept a list of budgets with different names and amounts above zero', () => {
    const rows = (...rows: [string, string][]) =>
      JSON.stringify(rows.map(([name, amount]) => ({ name, amount, period: 'day' })));
    expect(problems.tag_budgets(rows(['a', '1'], ['b', '0.5']))).toBeUndefined();
    for (const wrong of [rows([' ', '1']), rows(['a', '1'], ['a ', '2']), rows(['a', '']), rows(['a', '0'])])
      expect(problems.tag_budgets(wrong), wrong).toBeTruthy();
  });

  it('report a budget that is nearly or completely used', () => {
    const states = [0, 179_999_999, 180_000_000, 200_000_000].map((spent) => budgetState({ ...budget, spent }));
    expect(states).toEqual(['well', 'well', 'low', 'used-up']);
  });
});
