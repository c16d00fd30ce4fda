import { describe, expect, it } from 'vitest';
import fc from './property-testing.ts';

const drawn = () => {
  const numbers: number[] = [];
  fc.assert(fc.property(fc.integer(), (number) => void numbers.push(number)));
  return numbers;
};

describe.skipIf(process.env.NATTER_TEST_LONG)('a property test', () => {
  it('draws the same cases each time', () => {
    expect(drawn()).toEqual(drawn());
  });
});
