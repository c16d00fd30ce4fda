import { expect, it } from 'vitest';
import { costs } from './costs.ts';

it('treats a model without a price or with a zero price as free', () => {
  expect(
    [null, undefined, { input: 0, output: 0 }, { input: 0, cached: null, output: 0, search: 9 }].map(costs)
  ).toEqual([false, false, false, false]);
  expect(
    [
      { input: 1, output: 0 },
      { input: 0, output: 1 },
      { input: 0, cache_write: 1, output: 0 }
    ].map(costs)
  ).toEqual([true, true, true]);
});
