import { expect, it } from 'vitest';
import type { AnswerFacts } from '#lib/api/assistants.ts';
import { duration, summary, thoughtFor } from './answer-stats.ts';

const FACTS: AnswerFacts = {
  first_token_ms: 1_200,
  duration_ms: 11_020,
  thought_ms: null,
  input_tokens: 21_940,
  cached_tokens: null,
  output_tokens: 486,
  reasoning_tokens: null,
  cost: 900_000,
  estimated: false,
  context: { used: 31_200, window: 200_000, messages: 6 }
};

it('formats durations', () => {
  expect([0, 49, 80, 1_240, 11_020, 59_700, 125_000].map(duration)).toEqual([
    '< 0.1 s',
    '< 0.1 s',
    '0.1 s',
    '1.2 s',
    '11 s',
    '1 min',
    '2 min 5 s'
  ]);
});

it('shows no figure for thinking under a second', () => {
  expect([0, 999, 1_000].map(thoughtFor)).toEqual(['Thought for a moment', 'Thought for a moment', 'Thought for 1 s']);
});

it('summarises an answer by its cost, else by its length', () => {
  expect(summary(FACTS)).toBe('0.9 credits, 11 s');
  expect(summary({ ...FACTS, cost: null })).toBe('486 tokens, 11 s');
  expect(summary({ ...FACTS, cost: null, output_tokens: 1 })).toBe('1 token, 11 s');
  expect(summary({ ...FACTS, cost: null, output_tokens: null })).toBe('11 s');
});
