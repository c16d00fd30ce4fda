import { expect, it } from 'vitest';
import { estimateRowHeight } from './row-height.ts';
import { RowBuilder } from '../rows.ts';
import { message } from '../testing.ts';

const rowsOf = (...contents: string[]) => {
  const entries = contents.map((content, at) => ({ message: message(at + 1, { content }), version: at, reason: null }));
  return new RowBuilder().build(entries, [], { me: { kind: 'user', id: 'me', name: 'Me' }, unreadFrom: null });
};
const SENTENCE = 'The heron stands in the water, and waits for fish.';

it('estimates one line, two on a phone, and the name above', () => {
  expect(estimateRowHeight([], true)).toBe(40);
  expect([estimateRowHeight(rowsOf(SENTENCE), false), estimateRowHeight(rowsOf(SENTENCE), true)]).toEqual([64, 88]);
  expect(estimateRowHeight(rowsOf(`${SENTENCE}\n\nYes`), false)).toBe(112);
});

it('averages the latest rows', () => {
  const [one, two] = [estimateRowHeight(rowsOf('a', 'b'), false), estimateRowHeight(rowsOf('a', 'b\nc'), false)];
  expect(two).toBe(one + 12);
  const many = Array.from({ length: 40 }, () => 'a');
  expect(estimateRowHeight(rowsOf('a\nb'.repeat(30), ...many), false)).toBeLessThan(45);
});
