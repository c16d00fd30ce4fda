import { expect, it } from 'vitest';
import { editablePrice, localCurrency, parseMinorUnits, formatMoney, priceIn, formatPrice } from './amounts.ts';

it('formats money in the minor unit of its currency', () => {
  expect(formatMoney({ amount: 1_100, currency: 'EUR' }, 'en-GB')).toBe('€11.00');
  expect(formatMoney({ amount: 290_000, currency: 'VND' }, 'vi-VN')).toBe('290.000\u00a0₫');
  expect(formatMoney({ amount: 1_500, currency: 'JPY' }, 'en-GB')).toBe('¥1,500');
  expect(formatMoney({ amount: 1_100, currency: 'USD' }, 'en-US')).toBe('$11.00');
  expect(formatMoney({ amount: 1_100, currency: 'USD' }, 'vi-VN')).toBe('11,00\u00a0$');
  expect(formatMoney({ amount: 1_500, currency: 'JPY' }, 'vi-VN')).toBe('1.500\u00a0¥');
  expect(formatMoney({ amount: 290_000, currency: 'VND' }, 'en-US')).toBe('₫290,000');
});

it('omits empty decimals in a price tag', () => {
  expect(formatPrice({ amount: 2_400, currency: 'USD' }, 'en-US')).toBe('$24');
  expect(formatPrice({ amount: 2_450, currency: 'USD' }, 'en-US')).toBe('$24.50');
  expect(formatPrice({ amount: 590_000, currency: 'VND' }, 'en-US')).toBe('₫590,000');
});

it('derives the local currency from the browser languages', () => {
  expect(localCurrency(['vi'])).toBe('VND');
  expect(localCurrency(['ja-JP'])).toBe('JPY');
  expect(localCurrency(['en-GB', 'de'])).toBe('GBP');
  expect(localCurrency(['de'])).toBe('EUR');
  expect(localCurrency(['en-CH', 'fr'])).toBe('EUR');
  expect(localCurrency(['xx-', 'tlh'])).toBeUndefined();
});

it('finds the price in a currency, else the first price', () => {
  const prices = [
    { amount: 24, currency: 'USD' },
    { amount: 590_000, currency: 'VND' }
  ];
  expect(priceIn({ prices }, 'VND')).toBe(prices[1]);
  expect(priceIn({ prices }, 'EUR')).toBe(prices[0]);
  expect(priceIn({ prices: [] }, 'EUR')).toBeUndefined();
});

it('parses a typed amount', () => {
  expect(parseMinorUnits('11', 'USD')).toBe(1_100);
  expect(parseMinorUnits(' 11.5 ', 'USD')).toBe(1_150);
  expect(parseMinorUnits('11,05', 'EUR')).toBe(1_105);
  expect(parseMinorUnits('290.000', 'VND')).toBe(290_000);
  expect(parseMinorUnits('1,500', 'JPY')).toBe(1_500);
  expect(parseMinorUnits('1500', 'JPY')).toBe(1_500);
  for (const wrong of ['', 'x', '-1', '1.234', '1e3', '1.2.3']) expect(parseMinorUnits(wrong, 'USD')).toBeNull();
  expect(parseMinorUnits('1.5', 'VND')).toBeNull();
  expect(editablePrice({ amount: 1_150, currency: 'USD' })).toBe('11.50');
  expect(editablePrice({ amount: 290_000, currency: 'VND' })).toBe('290000');
});
