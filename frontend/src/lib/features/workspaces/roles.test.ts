import { expect, it } from 'vitest';
import { rolesToGive } from './roles.ts';

it('lets nobody give what they do not have', () => {
  expect(rolesToGive('owner')).toEqual(['admin', 'member', 'guest']);
  expect(rolesToGive('admin')).toEqual(['member', 'guest']);
  expect(rolesToGive('member')).toEqual([]);
  expect(rolesToGive('guest')).toEqual([]);
});
