import { expect, it } from 'vitest';
import { formatBytes } from './bytes.ts';

it('formats sizes', () => {
  expect([0, 1, 656, 1_023].map(formatBytes)).toEqual(['0 bytes', '1 byte', '656 bytes', '1,023 bytes']);
  expect([1_024, 5_000, 2_200_000, 12_900_000, 3 * 1_024 ** 3].map(formatBytes)).toEqual([
    '1 KB',
    '5 KB',
    '2.1 MB',
    '12 MB',
    '3 GB'
  ]);
});
