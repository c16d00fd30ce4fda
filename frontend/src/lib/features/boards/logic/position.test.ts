import fc from '#lib/util/property-testing.ts';
import { expect, it } from 'vitest';
import { positionBetween } from './position.ts';

function expectBetween(after: string | null, before: string | null): string {
  const found = positionBetween(after, before);
  expect(found).toMatch(/^[0-9A-Za-z]+$/);
  if (after !== null) expect(after < found, `${after} < ${found}`).toBe(true);
  if (before !== null) expect(found < before, `${found} < ${before}`).toBe(true);
  return found;
}

it('finds a position between any two', () => {
  const positions = fc.stringMatching(/^[0-9A-Za-z]{0,6}[1-9A-Za-z]$/);
  fc.assert(
    fc.property(positions, positions, (a, b) => {
      fc.pre(a !== b);
      expectBetween(a < b ? a : b, a < b ? b : a);
      expectBetween(a, null);
      expectBetween(null, a);
    })
  );
});

it('accepts positions written by other libraries', () => {
  expectBetween('a0', 'a1');
  expectBetween('Zz', 'a0');
  expectBetween('Uzzz', 'V000');
  expectBetween('V000', 'V001');
  expectBetween(null, 'a0');
});

it('keeps positions short at both ends and for many inserts at one place', () => {
  let [first, last] = [positionBetween(null, null), positionBetween(null, null)];
  for (let round = 0; round < 5000; round++) {
    first = expectBetween(null, first);
    last = expectBetween(last, null);
  }
  expect(first.length).toBeLessThanOrEqual(4);
  expect(last.length).toBeLessThanOrEqual(4);
  let [low, high] = ['V', 'W'];
  for (let round = 0; round < 1000; round++) {
    const found = expectBetween(low, high);
    if (round % 3 === 0) low = found;
    else high = found;
  }
  expect(high.length).toBeLessThan(1000);
});

it('returns the upper bound if there is no position between', () => {
  expect(positionBetween('a', 'a') > 'a').toBe(true);
  expect(positionBetween('b', 'a') > 'b').toBe(true);
  expect(positionBetween('a', 'a0') > 'a').toBe(true);
});
