import { expect, it } from 'vitest';
import { badgeIn, lookUp, nameIn } from './enum-lookup.ts';

const BADGES = { good: { look: 'ok', name: () => 'Good' }, bad: { look: 'bad', name: () => 'Bad' } };
const NAMES = { good: () => 'Good', bad: () => 'Bad' };

it('has a label and a badge for known values', () => {
  expect(lookUp(NAMES, 'good')?.()).toBe('Good');
  expect(nameIn(NAMES, 'bad')).toBe('Bad');
  expect(badgeIn(BADGES, 'bad')).toEqual({ look: 'bad', name: 'Bad' });
});

it('shows unknown values by name with a plain badge', () => {
  for (const name of ['paused', 'toString'] as string[] as 'good'[]) {
    expect(lookUp(NAMES, name)).toBeUndefined();
    expect(nameIn(NAMES, name)).toBe(name);
    expect(badgeIn(BADGES, name)).toEqual({ look: '', name });
  }
});
