import { expect, it } from 'vitest';
import { Repeatable } from './retryable.ts';

it('keeps the id for a retry, and takes a new one for other content or after success', () => {
  const asking = new Repeatable();
  const first = asking.idOf({ content: 'Lunch?' });
  expect(asking.idOf({ content: 'Lunch?' })).toBe(first);
  const other = asking.idOf({ content: 'Dinner?' });
  expect(other).not.toBe(first);
  asking.done();
  expect(asking.idOf({ content: 'Dinner?' })).not.toBe(other);
});
