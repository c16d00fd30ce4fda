import { expect, it } from 'vitest';
import { check } from './password-strength.ts';

it('distinguishes weak from strong passwords', () => {
  expect(check('Password1', []).score).toBeLessThanOrEqual(1);
  expect(check('Password1', []).isCommon).toBe(true);
  expect(check('kX9-vulture-mango-Tram', [])).toEqual({ score: 4, isCommon: false });
});

it('counts the own name as guessable', () => {
  const alone = check('ElenaVossHarbour', []).score;
  expect(check('ElenaVossHarbour', ['Elena Voss', 'voss@harbour.example']).score).toBeLessThan(alone);
});

it('checks a very long password in bounded time', () => {
  const before = performance.now();
  check('aA1'.repeat(40_000), []);
  expect(performance.now() - before).toBeLessThan(2_000);
});
