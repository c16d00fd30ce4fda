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

it('accepts a card until the end of its month', () => {
  expect(isExpired(CARD, new Date(2028, 7, 31))).toBe(false);
  expect(isExpired(CARD, new Date(2028, 8, 1))).toBe(true);
  expect(isExpired({ ...CARD, exp_month: 12 }, new Date(2028, 11, 31))).toBe(false);
  expect(isExpired({ ...CARD, exp_month: null, exp_year: null })).toBe(false);
});

it('formats the expiry date of a card', () => {
  expect(expiryOf(CARD)).toBe('08/28');
  expect(expiryOf({ ...CARD, exp_year: null })).toBeNull();
});
