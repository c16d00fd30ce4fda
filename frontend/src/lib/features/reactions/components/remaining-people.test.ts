import { expect, it } from 'vitest';
import { remainingPeople } from './remaining-people.ts';

it('counts people without known names', () => {
  expect([remainingPeople(1, false), remainingPeople(3, false), remainingPeople(3, true)]).toEqual([
    '1 person',
    '3 people',
    '3 more'
  ]);
});
