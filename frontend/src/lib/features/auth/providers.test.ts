import { expect, it } from 'vitest';
import { providerName } from './providers.ts';

it('shows the brand of a provider, or its own name if the brand is ambiguous or missing', () => {
  const work = { name: 'work', kind: 'google' } as const;
  const school = { name: 'my_school', kind: 'google' } as const;
  expect(providerName(work, [work])).toBe('Google');
  expect(providerName(school, [work, school])).toBe('My school');
  expect(providerName({ name: 'harbour-id', kind: 'oidc' })).toBe('Harbour id');
});
