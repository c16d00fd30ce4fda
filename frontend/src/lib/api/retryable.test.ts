import { expect, it } from 'vitest';
import { Repeatable } from './retryable.ts';

it('has one id for what is asked again, and another for what is another thing or meant once more', () => {
  const asking = new Repeatable();
  const first = asking.idOf({ content: 'Lunch?' });
  expect(asking.idOf({ content: 'Lunch?' })).toBe(first);
  const other = asking.idOf({ content: 'Dinner?' });
  expect(other).not.toBe(first);
  asking.done();
  expect(asking.idOf({ content: 'Dinner?' })).not.toBe(other);
});
