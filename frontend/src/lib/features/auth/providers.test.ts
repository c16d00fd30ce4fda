import { expect, it } from 'vitest';
import { providerName } from './providers.ts';

it('calls a provider by its brand, and by its own name where there are two or none', () => {
  const work = { name: 'work', kind: 'google' } as const;
  const school = { name: 'my_school', kind: 'google' } as const;
  expect(providerName(work, [work])).toBe('Google');
  expect(providerName(school, [work, school])).toBe('My school');
  expect(providerName({ name: 'harbour-id', kind: 'oidc' })).toBe('Harbour id');
});
