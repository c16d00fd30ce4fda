import { expect, it } from 'vitest';
import { badgeIn, known, nameIn } from './enum-lookup.ts';

const BADGES = { good: { look: 'ok', name: () => 'Good' }, bad: { look: 'bad', name: () => 'Bad' } };
const NAMES = { good: () => 'Good', bad: () => 'Bad' };

it('has words and a look for what it knows', () => {
  expect(known(NAMES, 'good')?.()).toBe('Good');
  expect(nameIn(NAMES, 'bad')).toBe('Bad');
  expect(badgeIn(BADGES, 'bad')).toEqual({ look: 'bad', name: 'Bad' });
});

it('calls what it doesn’t know what a newer server calls it, with a plain look', () => {
  for (const name of ['paused', 'toString'] as string[] as 'good'[]) {
    expect(known(NAMES, name)).toBeUndefined();
    expect(nameIn(NAMES, name)).toBe(name);
    expect(badgeIn(BADGES, name)).toEqual({ look: '', name });
  }
});
