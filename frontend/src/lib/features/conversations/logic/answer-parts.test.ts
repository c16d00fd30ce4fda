import { expect, it } from 'vitest';
import { partsOf } from './answer-parts.ts';
import { toolCall } from '../testing.ts';

const texts = (text: string, ...at: number[]) => {
  const [parts, last] = partsOf(
    text,
    at.map((position, index) => toolCall(`t${index}`, { at: position }))
  );
  return [...parts.map((part) => [part.text, part.calls.map(({ id }) => id).join()]), last];
};

it('keeps a text without tool calls whole', () => {
  expect(texts('All of it.')).toEqual(['All of it.']);
});

it('splits a text at its tool calls and groups those at one offset', () => {
  expect(texts('Let me look. Found.', 12, 12)).toEqual([['Let me look.', 't0,t1'], ' Found.']);
  expect(texts('AB', 0, 1)).toEqual([['', 't0'], ['A', 't1'], 'B']);
});

it('clamps offsets beyond the text or before an earlier call', () => {
  expect(texts('AB', 9)).toEqual([['AB', 't0'], '']);
  expect(texts('AB', 2, 1)).toEqual([['AB', 't0'], ['', 't1'], '']);
});
