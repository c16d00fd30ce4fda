import { expect, it } from 'vitest';
import { merge, missing } from './translations.mjs';

const BASE = { one: 'One', two: '{count} twos', three: 'Three' };

it('lists the messages that a translation lacks', () => {
  expect(missing(BASE, { two: '{count} Zweien' })).toEqual({ one: 'One', three: 'Three' });
});

it('adds translations in the order of the base, and replaces those there are', () => {
  const merged = merge(BASE, { three: 'Drei', two: 'x {count}' }, { one: 'Eins', two: '{count} Zweien' });
  expect(Object.entries(merged)).toEqual([
    ['one', 'Eins'],
    ['two', '{count} Zweien'],
    ['three', 'Drei']
  ]);
});

it.each([
  [{ four: 'Vier' }, 'four is no message'],
  [{ two: 'Zweien' }, 'two has other placeholders'],
  [{ one: '{name}' }, 'one has other placeholders']
])('refuses %j', (added, reason) => {
  expect(() => merge(BASE, {}, added)).toThrow(reason);
});
