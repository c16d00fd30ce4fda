import { expect, it } from 'vitest';
import { toolCall } from './testing.ts';
import { argumentsOf, isCut, lineOf, nameOf } from './tool-words.ts';

it('names a tool by its title, else by its name', () => {
  expect(nameOf({ title: 'Query traces', tool: 'query_traces' })).toBe('Query traces');
  expect(nameOf({ title: null, tool: 'query_traces' })).toBe('Query traces');
});

it('reads arguments one by one, where they are whole', () => {
  expect(argumentsOf('{"zone":"eu-west","days":7,"tags":["a","b"],"by":{"a":1}}')).toEqual([
    { name: 'zone', value: 'eu-west' },
    { name: 'days', value: '7' },
    { name: 'tags', value: 'a, b' },
    { name: 'by', value: '{\n "a": 1\n}' }
  ]);
  for (const odd of ['', '[1]', 'null', '{"zone":"eu']) expect(argumentsOf(odd)).toBeNull();
});

it('puts arguments into one line of a bearable length', () => {
  expect(lineOf('{"zone":"eu-west","text":"two\\nlines"}')).toBe('eu-west, two lines');
  expect(lineOf('{"zone":"eu')).toBe('{"zone":"eu');
  expect(lineOf(JSON.stringify({ text: 'x'.repeat(500) })).length).toBe(121);
});

it('knows what the server has cut', () => {
  expect(isCut(toolCall('a'))).toBe(false);
  expect(isCut(toolCall('a', { result: 'x'.repeat(2_000) }))).toBe(true);
});
