import { expect, it } from 'vitest';
import { toolCall } from '#lib/features/conversations/testing.ts';
import { argumentsOf, isCut, lineOf, nameOf, OWN_SERVER } from './tool-labels.ts';

it('names a tool by its title, else by its name', () => {
  expect(nameOf({ title: 'Query traces', tool: 'query_traces' })).toBe('Query traces');
  expect(nameOf({ title: null, tool: 'query_traces' })).toBe('Query traces');
});

it('translates the names of the built-in tools only', () => {
  const own = { title: 'Search messages', tool: 'search_messages' };
  expect(nameOf({ ...own, server: OWN_SERVER })).toBe('Search messages');
  expect(nameOf({ ...own, title: 'Find in the forge', server: 'Forge' })).toBe('Find in the forge');
  expect(nameOf({ title: 'New one', tool: 'new_one', server: OWN_SERVER })).toBe('New one');
});

it('lists arguments if the JSON is complete', () => {
  expect(argumentsOf('{"zone":"eu-west","days":7,"tags":["a","b"],"by":{"a":1}}')).toEqual([
    { name: 'zone', value: 'eu-west' },
    { name: 'days', value: '7' },
    { name: 'tags', value: 'a, b' },
    { name: 'by', value: '{\n "a": 1\n}' }
  ]);
  for (const odd of ['', '[1]', 'null', '{"zone":"eu']) expect(argumentsOf(odd)).toBeNull();
});

it('joins arguments into a line of bounded length', () => {
  expect(lineOf('{"zone":"eu-west","text":"two\\nlines"}')).toBe('eu-west, two lines');
  expect(lineOf('{"zone":"eu')).toBe('{"zone":"eu');
  expect(lineOf(JSON.stringify({ text: 'x'.repeat(500) })).length).toBe(121);
});

it('detects truncated results', () => {
  expect(isCut(toolCall('a'))).toBe(false);
  expect(isCut(toolCall('a', { result: 'x'.repeat(2_000) }))).toBe(true);
});
