import { expect, it } from 'vitest';
import { endOf } from './provider-keys.ts';

it.each([
  ['0001', '…0001'],
  ['••••', '••••'],
  ['', '–']
])('shows a key that ends in “%s” as %s', (tail, shown) => {
  expect(endOf({ tail })).toBe(shown);
});
