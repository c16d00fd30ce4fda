import { expect, it } from 'vitest';
import type { PasswordPolicy } from '#lib/api/types.ts';
import { rulesFor } from './rules.ts';

const STRICT: PasswordPolicy = { min_length: 8, upper: true, lower: true, digit: true, common: true };
const failing = (password: string, { policy = STRICT, email = '', isCommon = false } = {}) =>
  rulesFor(policy, password, email, isCommon)
    .filter(({ holds }) => !holds)
    .map(({ id }) => id);

it('marks the rules that a password satisfies', () => {
  expect(failing('')).toEqual(['length', 'upper', 'lower', 'digit', 'common']);
  expect(failing('lower')).toEqual(['length', 'upper', 'digit']);
  expect(failing('Correct-9')).toEqual([]);
  expect(failing('Password1', { isCommon: true })).toEqual(['common']);
});

it('counts code points and recognises letters of all languages', () => {
  expect(failing('Ấm9👋👋👋👋👋')).toEqual([]);
  expect(failing('ĐÀ NẴNG 9')).toEqual(['lower']);
});

it('checks only the rules of the server', () => {
  const lax = { min_length: 4, upper: false, lower: false, digit: false, common: false };
  expect(rulesFor(lax, 'abcd', '', true).map(({ id, holds }) => [id, holds])).toEqual([['length', true]]);
});

it('rejects the email address as a password', () => {
  expect(failing('Elena.V1@harbour.example', { email: ' elena.v1@Harbour.example' })).toEqual(['email']);
  expect(failing('Elena.V1', { email: 'elena.v1@harbour.example' })).toEqual(['email']);
  expect(failing('Elena.V12', { email: 'elena.v1@harbour.example' })).toEqual([]);
});
