import { expect, it } from 'vitest';
import { locationName } from './location-name.ts';

it('says as much of a place as is known, in the language of whoever reads it', () => {
  expect(locationName({ city: 'Berlin', country: 'DE' }, 'en')).toBe('Berlin, Germany');
  expect(locationName({ city: 'Berlin', country: 'DE' }, 'vi')).toBe('Berlin, Đức');
  expect(locationName({ city: null, country: 'DE' }, 'en')).toBe('Germany');
  expect(locationName(null, 'en')).toBeUndefined();
});

it('shows a code that nobody knows as it is', () => {
  expect(locationName({ city: null, country: 'not a code' }, 'en')).toBe('not a code');
});
