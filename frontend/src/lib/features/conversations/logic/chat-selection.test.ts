import { expect, it } from 'vitest';
import { ChatSelection, runInBulk } from './chat-selection.svelte.ts';

const LISTED = ['a', 'b', 'c', 'd', 'e'];

it('selects and deselects single chats, in the order of the list', () => {
  const selection = new ChatSelection();
  selection.set('d', true);
  selection.set('b', true);
  selection.set('e', true);
  selection.set('e', false);
  expect(selection.among(LISTED)).toEqual(['b', 'd']);
  expect(selection.has('e')).toBe(false);
});

it('selects a range from the last one, in both directions', () => {
  const selection = new ChatSelection();
  selection.set('d', true, LISTED);
  selection.set('b', true, LISTED, true);
  expect(selection.among(LISTED)).toEqual(['b', 'c', 'd']);
  selection.set('c', false, LISTED, true);
  expect(selection.among(LISTED)).toEqual(['d']);
});

it('selects one chat if a range has no start', () => {
  const selection = new ChatSelection();
  selection.set('c', true, LISTED, true);
  expect(selection.among(LISTED)).toEqual(['c']);
});

it('selects all and none, and only chats that are still listed', () => {
  const selection = new ChatSelection();
  selection.setAll(LISTED, true);
  expect(selection.among(['b', 'e'])).toEqual(['b', 'e']);
  selection.setAll(LISTED, false);
  expect(selection.among(LISTED)).toEqual([]);
});

it('runs an action for each chat, a few at a time, and counts failures', async () => {
  let running = 0;
  let most = 0;
  const run = async (id: string) => {
    most = Math.max(most, (running += 1));
    await Promise.resolve();
    running -= 1;
    if (id === 'c') throw new Error('gone');
  };
  const { done, failed } = await runInBulk(LISTED, run);
  expect([...done].sort()).toEqual(['a', 'b', 'd', 'e']);
  expect([failed, most]).toEqual([1, 3]);
});
