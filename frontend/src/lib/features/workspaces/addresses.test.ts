import { expect, it } from 'vitest';
import { addressesIn } from './addresses.ts';

it.each([
  ['anna@example.com', ['anna@example.com']],
  ['anna@example.com, ben@example.com;cleo@example.com\ndora@example.com', 'abcd'],
  ['Anna Lee <anna@example.com>, "Ben, Jr." <ben@example.com>', 'ab'],
  ['name,email,team\n"Anna","anna@example.com",Design\nBen,ben@example.com,', 'ab'],
  ['mailto:anna@example.com (work) and ANNA@example.com.', 'a'],
  ["o'brien, anna+chat@example.co.uk|ben@bücher.example", ['anna+chat@example.co.uk', 'ben@bücher.example']],
  ['name;email', []],
  ['', []]
])('finds the addresses in %j', (text, wanted) => {
  const names: Record<string, string> = { a: 'anna', b: 'ben', c: 'cleo', d: 'dora' };
  const expected =
    typeof wanted === 'string' ? Array.from(wanted, (initial) => `${names[initial]}@example.com`) : wanted;
  expect(addressesIn(text)).toEqual(expected);
});
