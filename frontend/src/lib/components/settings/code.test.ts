import { expect, it } from 'vitest';
import { codeProblem, plainCode } from './code.ts';

it('takes a code as an app shows it', () => {
  expect(plainCode(' 123 456')).toBe('123456');
  expect(codeProblem('123-456')).toBeUndefined();
});

it.each(['', '12345', '1234567', '12345a', '１２３４５６'])('refuses %s', (text) => {
  expect(codeProblem(text)).toBeDefined();
});
