import { expect, it } from 'vitest';
import { check } from './password-strength.ts';

it('tells what is guessed at once from what is not', () => {
  expect(check('Password1', []).score).toBeLessThanOrEqual(1);
  expect(check('Password1', []).isCommon).toBe(true);
  expect(check('kX9-vulture-mango-Tram', [])).toEqual({ score: 4, isCommon: false });
});

it('knows that one’s own name is guessed first', () => {
  const alone = check('ElenaVossHarbour', []).score;
  expect(check('ElenaVossHarbour', ['Elena Voss', 'voss@harbour.example']).score).toBeLessThan(alone);
});

it('is not kept busy by a long one', () => {
  const before = performance.now();
  check('aA1'.repeat(40_000), []);
  expect(performance.now() - before).toBeLessThan(2_000);
});
