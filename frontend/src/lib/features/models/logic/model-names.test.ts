import { expect, it } from 'vitest';
import { answersQuestions, isNamed } from './model-names.ts';

it.each([
  'text-embedding-3-small',
  'nomic-embed-text',
  'bge-m3',
  'multilingual-e5-large',
  'whisper-1',
  'gpt-4o-mini-tts',
  'gpt-4o-transcribe',
  'dall-e-3',
  'gpt-image-1',
  'flux-schnell',
  'rerank-v3.5',
  'omni-moderation-latest'
])('doesn’t offer %s for questions', (name) => expect(answersQuestions({ name })).toBe(false));

it.each(['gpt-5-mini', 'claude-opus-4', 'small', 'gemma3:12b', 'fluxcapacitor', 'matts-model', 'qwen3', 'llava'])(
  'offers %s for questions',
  (name) => expect(answersQuestions({ name })).toBe(true)
);

it('offers a model with tools, and the default one, whatever their names', () => {
  expect(answersQuestions({ name: 'embedded-helper', capabilities: { tools: true } })).toBe(true);
  expect(answersQuestions({ name: 'embedded-helper', is_default: true })).toBe(true);
});

it('recognises a model by its name, its alias, and its name with the provider', () => {
  const model = { name: 'small', provider: 'acme', aliases: ['cheap'] };
  for (const name of ['small', 'cheap', 'acme/small']) expect(isNamed(model, name)).toBe(true);
  for (const name of ['acme', 'other/small', '']) expect(isNamed(model, name)).toBe(false);
});
