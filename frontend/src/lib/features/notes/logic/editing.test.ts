import { expect, it } from 'vitest';
import { toggleMarkup, toggleLinePrefix, nextLine, compareLines, ticks, words } from './editing.ts';

const at = (text: string, start = text.length, end = start) => ({ text, start, end });

it('toggles inline markup around the selection', () => {
  const bold = toggleMarkup(at('very good', 5, 9), '**');
  expect(bold).toEqual({ text: 'very **good**', start: 7, end: 11 });
  expect(toggleMarkup(bold, '**')).toEqual({ text: 'very good', start: 5, end: 9 });
  expect(toggleMarkup(at(''), '**')).toEqual({ text: '****', start: 2, end: 2 });
});

it('toggles line prefixes', () => {
  const list = toggleLinePrefix(at('a\nb\nc', 2, 5), '- [ ] ');
  expect(list.text).toBe('a\n- [ ] b\n- [ ] c');
  expect(toggleLinePrefix(list, '- [ ] ').text).toBe('a\nb\nc');
  expect(toggleLinePrefix(at('Title', 5), '## ')).toEqual({ text: '## Title', start: 8, end: 8 });
});

it('continues a list and ends it', () => {
  expect(nextLine(at('- a'))?.text).toBe('- a\n- ');
  expect(nextLine(at('  9. a'))?.text).toBe('  9. a\n  10. ');
  expect(nextLine(at('- [x] a'))?.text).toBe('- [x] a\n- [ ] ');
  expect(nextLine(at('- a\n- '))).toEqual({ text: '- a\n', start: 4, end: 4 });
  expect(nextLine(at('plain'))).toBeNull();
});

it('counts words and checkboxes, and compares two texts', () => {
  expect(ticks('- [x] a\n- [ ] b\n* [X] c')).toEqual({ done: 2, all: 3 });
  expect(words('Mai can’t come: 25 % — trời ơi')).toBe(6);
  expect(compareLines('a\nb', 'b\nc')).toEqual([
    { line: 'a', isOnly: true },
    { line: 'b', isOnly: false }
  ]);
});
