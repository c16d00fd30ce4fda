import { expect, it } from 'vitest';
import { locationName } from './location-name.ts';

it('shows the known parts of a location in the reader’s language', () => {
  expect(locationName({ city: 'Berlin', country: 'DE' }, 'en')).toBe('Berlin, Germany');
  expect(locationName({ city: 'Berlin', country: 'DE' }, 'vi')).toBe('Berlin, Đức');
  expect(locationName({ city: null, country: 'DE' }, 'en')).toBe('Germany');
  expect(locationName(null, 'en')).toBeUndefined();
});

it('shows an unknown country code unchanged', () => {
  expect(locationName({ city: null, country: 'not a code' }, 'en')).toBe('not a code');
});
