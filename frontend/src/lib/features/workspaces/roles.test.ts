import { expect, it } from 'vitest';
import { rolesToGive } from './roles.ts';

it('allows only roles below one’s own', () => {
  expect(rolesToGive('owner')).toEqual(['admin', 'member', 'guest']);
  expect(rolesToGive('admin')).toEqual(['member', 'guest']);
  expect(rolesToGive('member')).toEqual([]);
  expect(rolesToGive('guest')).toEqual([]);
});
