import { expect, it } from 'vitest';
import { placeInWords } from './location-name.ts';

it('says as much of a place as is known, in the language of whoever reads it', () => {
  expect(placeInWords({ city: 'Berlin', country: 'DE' }, 'en')).toBe('Berlin, Germany');
  expect(placeInWords({ city: 'Berlin', country: 'DE' }, 'vi')).toBe('Berlin, Đức');
  expect(placeInWords({ city: null, country: 'DE' }, 'en')).toBe('Germany');
  expect(placeInWords(null, 'en')).toBeUndefined();
});

it('shows a code that nobody knows as it is', () => {
  expect(placeInWords({ city: null, country: 'not a code' }, 'en')).toBe('not a code');
});
