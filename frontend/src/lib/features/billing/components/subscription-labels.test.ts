import { expect, it } from 'vitest';
import { expiryOf, isExpired } from './subscription-labels.ts';

const CARD = {
  id: 'c1',
  gateway: 'stripe',
  brand: 'visa',
  last4: '4242',
  exp_month: 8,
  exp_year: 2028,
  is_default: true,
  created_at: '2026-11-01T00:00:00.000Z'
};

it('takes a card until its month is over', () => {
  expect(isExpired(CARD, new Date(2028, 7, 31))).toBe(false);
  expect(isExpired(CARD, new Date(2028, 8, 1))).toBe(true);
  expect(isExpired({ ...CARD, exp_month: 12 }, new Date(2028, 11, 31))).toBe(false);
  expect(isExpired({ ...CARD, exp_month: null, exp_year: null })).toBe(false);
});

it('writes when a card expires', () => {
  expect(expiryOf(CARD)).toBe('08/28');
  expect(expiryOf({ ...CARD, exp_year: null })).toBeNull();
});
