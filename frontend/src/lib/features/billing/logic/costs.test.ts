import { expect, it } from 'vitest';
import { isCharged } from './costs.ts';

it('treats a model without a price or with a zero price as free', () => {
  expect(
    [null, undefined, { input: 0, output: 0 }, { input: 0, cached: null, output: 0, search: 9 }].map(isCharged)
  ).toEqual([false, false, false, false]);
  expect(
    [
      { input: 1, output: 0 },
      { input: 0, output: 1 },
      { input: 0, cache_write: 1, output: 0 }
    ].map(isCharged)
  ).toEqual([true, true, true]);
});
