import { expect, it } from 'vitest';
import { editablePrice, localCurrency, minorOf, money, priceIn, tag } from './amounts.ts';

it('formats money in the minor unit of its currency', () => {
  expect(money({ amount: 1_100, currency: 'EUR' }, 'en-GB')).toBe('€11.00');
  expect(money({ amount: 290_000, currency: 'VND' }, 'vi-VN')).toBe('290.000\u00a0₫');
  expect(money({ amount: 1_500, currency: 'JPY' }, 'en-GB')).toBe('¥1,500');
  expect(money({ amount: 1_100, currency: 'USD' }, 'en-US')).toBe('$11.00');
  expect(money({ amount: 1_100, currency: 'USD' }, 'vi-VN')).toBe('11,00\u00a0$');
  expect(money({ amount: 1_500, currency: 'JPY' }, 'vi-VN')).toBe('1.500\u00a0¥');
  expect(money({ amount: 290_000, currency: 'VND' }, 'en-US')).toBe('₫290,000');
});

it('omits empty decimals in a price tag', () => {
  expect(tag({ amount: 2_400, currency: 'USD' }, 'en-US')).toBe('$24');
  expect(tag({ amount: 2_450, currency: 'USD' }, 'en-US')).toBe('$24.50');
  expect(tag({ amount: 590_000, currency: 'VND' }, 'en-US')).toBe('₫590,000');
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
  expect(minorOf('11', 'USD')).toBe(1_100);
  expect(minorOf(' 11.5 ', 'USD')).toBe(1_150);
  expect(minorOf('11,05', 'EUR')).toBe(1_105);
  expect(minorOf('290.000', 'VND')).toBe(290_000);
  expect(minorOf('1,500', 'JPY')).toBe(1_500);
  expect(minorOf('1500', 'JPY')).toBe(1_500);
  for (const wrong of ['', 'x', '-1', '1.234', '1e3', '1.2.3']) expect(minorOf(wrong, 'USD')).toBeNull();
  expect(minorOf('1.5', 'VND')).toBeNull();
  expect(editablePrice({ amount: 1_150, currency: 'USD' })).toBe('11.50');
  expect(editablePrice({ amount: 290_000, currency: 'VND' })).toBe('290000');
});
