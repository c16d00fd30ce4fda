import { expect, it } from 'vitest';
import { codeOf, recoveryCodeOf } from './codes.ts';

it('parses six digits with spaces and hyphens', () => {
  expect(['123456', ' 123 456 ', '123-456'].map(codeOf)).toEqual(['123456', '123456', '123456']);
  expect(['', '12345', '1234567', '12345a'].map(codeOf)).toEqual([undefined, undefined, undefined, undefined]);
});

it('trims a recovery code', () => {
  expect(recoveryCodeOf(' abcd-efgh \n')).toBe('abcd-efgh');
  expect(recoveryCodeOf('   ')).toBeUndefined();
});
