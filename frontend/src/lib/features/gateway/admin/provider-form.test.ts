import { expect, test } from 'vitest';
import { baseUrlProblem, limitOf, limitProblem, modelsOf, modelsProblem, nameProblem } from './provider-form.ts';

test('accepts provider names that are valid in a path', () => {
  expect(nameProblem(' local-1 ')).toBeUndefined();
  for (const wrong of ['', 'Local', 'a b', 'a/b', 'x'.repeat(41)]) expect(nameProblem(wrong), wrong).toBeDefined();
});

test('parses one model per line and drops duplicates', () => {
  expect(modelsOf(' small\nlarge, small \n\n')).toEqual(['small', 'large']);
  expect(modelsProblem('small\norg/large')).toBeUndefined();
  expect(modelsProblem(' \n')).toBeDefined();
  expect(modelsProblem('two words')).toBeDefined();
});

test('allows an empty URL and an empty limit', () => {
  expect([baseUrlProblem(''), baseUrlProblem('http://localhost:11434/v1')]).toEqual([undefined, undefined]);
  expect([baseUrlProblem('localhost'), baseUrlProblem('ftp://localhost')]).not.toContain(undefined);
  expect([limitProblem(''), limitOf(''), limitOf('60')]).toEqual([undefined, null, 60]);
  for (const wrong of ['0', '1.5', 'many']) expect(limitProblem(wrong), wrong).toBeDefined();
});
