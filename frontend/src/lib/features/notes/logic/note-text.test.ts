import { expect, it } from 'vitest';
import { compareLines, ticks, words } from './note-text.ts';

it('counts words and checkboxes, and compares two texts', () => {
  expect(ticks('- [x] a\n- [ ] b\n* [X] c')).toEqual({ done: 2, all: 3 });
  expect(words('Mai can’t come: 25 % — trời ơi')).toBe(6);
  expect(compareLines('a\nb', 'b\nc')).toEqual([
    { line: 'a', isOnly: true },
    { line: 'b', isOnly: false }
  ]);
});
