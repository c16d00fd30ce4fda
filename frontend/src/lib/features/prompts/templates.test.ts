import { expect, it } from 'vitest';
import { promptAskedAt } from './prompt-query.ts';
import { cutVariables, fillTemplate, variablesOf } from './templates.ts';

const TEMPLATE = 'Write a note about {{topic}} for {{ the team }}. Again: {{topic}}.';

it('finds each variable once, in order', () => {
  expect(variablesOf(TEMPLATE)).toEqual(['topic', 'the team']);
  expect(variablesOf('Nothing { here } {{}} {{\n}}')).toEqual([]);
});

it('fills all occurrences of a variable, and none inside a value', () => {
  expect(fillTemplate(TEMPLATE, { topic: ' {{the team}} ', 'the team': 'Harbour' })).toBe(
    'Write a note about {{the team}} for Harbour. Again: {{the team}}.'
  );
  expect(fillTemplate('{{a}} and {{b}}', { a: '$&' })).toBe('$& and');
});

it('separates variables from text', () => {
  expect(cutVariables('To {{name}}: hello')).toEqual([
    { text: 'To ', isVariable: false },
    { text: 'name', isVariable: true },
    { text: ': hello', isVariable: false }
  ]);
});

it('suggests prompts only at the start of the text', () => {
  expect(promptAskedAt('/', 1)).toBe('');
  expect(promptAskedAt('/status no', 10)).toBe('status no');
  expect(promptAskedAt('/status', 0)).toBeNull();
  expect(promptAskedAt('either/or', 9)).toBeNull();
  expect(promptAskedAt('/usr/bin', 8)).toBeNull();
  expect(promptAskedAt('/ well', 6)).toBeNull();
  expect(promptAskedAt('/a\nb', 4)).toBeNull();
});
