import { expect, it } from 'vitest';
import { restOf } from './rest.ts';

it('counts people without known names', () => {
  expect([restOf(1, false), restOf(3, false), restOf(3, true)]).toEqual(['1 person', '3 people', '3 more']);
});
