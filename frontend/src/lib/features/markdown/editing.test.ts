import { expect, it } from 'vitest';
import {
  codeLine,
  indentItems,
  nextLine,
  toggleCode,
  toggleCodeBlock,
  toggleEmphasis,
  toggleLinePrefix,
  toggleLines,
  toggleLink,
  toggleMarkup,
  type Selected
} from './editing.ts';

/** Text in which `«` and `»` enclose the selection, and `|` is the caret. */
function parse(written: string): Selected {
  const start = written.search(/[|«]/);
  const end = written.includes('»') ? written.indexOf('»') - 1 : start;
  return { text: written.replaceAll(/[|«»]/g, ''), start, end };
}

function print(now: Selected | null): string | null {
  if (!now) return null;
  const { text, start, end } = now;
  if (start === end) return `${text.slice(0, start)}|${text.slice(start)}`;
  return `${text.slice(0, start)}«${text.slice(start, end)}»${text.slice(end)}`;
}

const bold = (written: string) => print(toggleMarkup(parse(written), '**'));
const emphasis = (written: string) => print(toggleEmphasis(parse(written)));

it('toggles inline markup around the selection', () => {
  expect(bold('very «good»')).toBe('very **«good»**');
  expect(bold('very **«good»**')).toBe('very «good»');
  expect(bold('very «**good**»')).toBe('very «good»');
  expect(bold('very« good »tea')).toBe('very **«good»** tea');
  expect(bold('|')).toBe('**|**');
  expect(bold('**|**')).toBe('|');
  expect(bold('**good|**')).toBe('**good**|');
  expect(bold('*«good»*')).toBe('***«good»***');
});

it('toggles emphasis beside and inside bold text and words', () => {
  expect(emphasis('«good»')).toBe('_«good»_');
  expect(emphasis('_«good»_')).toBe('«good»');
  expect(emphasis('*«good»*')).toBe('«good»');
  expect(emphasis('**«good»**')).toBe('**_«good»_**');
  expect(emphasis('***«good»***')).toBe('**«good»**');
  expect(emphasis('_good|_')).toBe('_good_|');
  expect(emphasis('un«believ»able')).toBe('un*«believ»*able');
  expect(emphasis('un*believ|*able')).toBe('un*believ*|able');
});

it('makes code of a part of a line, and a code block of several lines', () => {
  expect(print(toggleCode(parse('run «ls»')))).toBe('run `«ls»`');
  expect(print(toggleCode(parse('run `«ls»`')))).toBe('run «ls»');
  expect(print(toggleCode(parse('see «a\nb» now')))).toBe('see \n```\n«a\nb»\n```\n now');
  expect(print(toggleCodeBlock(parse('```\n«a\nb»\n```\nnow')))).toBe('«a\nb»\nnow');
  expect(print(toggleCodeBlock(parse('|')))).toBe('```\n|\n```');
  expect(print(toggleCodeBlock(parse('«```»')))).toBe('````\n«```»\n````');
});

it('toggles line prefixes', () => {
  const checks = (written: string) => print(toggleLinePrefix(parse(written), '- [ ] '));
  expect(checks('a\n«b\nc»')).toBe('a\n- [ ] «b\n- [ ] c»');
  expect(checks('a\n- [ ] «b\n- [ ] c»')).toBe('a\n«b\nc»');
  expect(print(toggleLinePrefix(parse('Title|'), '## '))).toBe('## Title|');
});

it('toggles lists and quotes', () => {
  const lines = (written: string, style: Parameters<typeof toggleLines>[1]) =>
    print(toggleLines(parse(written), style));
  expect(lines('«a\n\nb»', 'numbers')).toBe('1. «a\n\n2. b»');
  expect(lines('1. «a\n\n2. b»', 'numbers')).toBe('«a\n\nb»');
  expect(lines('1. «a\n2. b»', 'bullets')).toBe('- «a\n- b»');
  expect(lines('- «a\n  - b»', 'numbers')).toBe('1. «a\n  2. b»');
  expect(lines('|', 'bullets')).toBe('- |');
  expect(lines('- |', 'bullets')).toBe('|');
  expect(lines('a|b', 'quote')).toBe('> a|b');
  expect(lines('> «a\n> \n>b»', 'quote')).toBe('«a\n\nb»');
});

it('makes links of texts and addresses', () => {
  const link = (written: string) => print(toggleLink(parse(written)));
  expect(link('the «site»')).toBe('the [site](|)');
  expect(link('«https://a.example/x»')).toBe('[|](https://a.example/x)');
  expect(link('[«site»](https://a.example/x) now')).toBe('«site» now');
  expect(link('|')).toBe('[|]()');
  expect(link('«[x]»')).toBe('[\\[x\\]](|)');
});

it('continues a list and ends it', () => {
  const next = (written: string) => print(nextLine(parse(written)));
  expect(next('- a|')).toBe('- a\n- |');
  expect(next('  9. a|')).toBe('  9. a\n  10. |');
  expect(next('1) a|')).toBe('1) a\n2) |');
  expect(next('- [x] a|')).toBe('- [x] a\n- [ ] |');
  expect(next('- a\n- |')).toBe('- a\n|');
  expect(next('plain|')).toBeNull();
  expect(next('2026. 1. 5.|')).toBeNull();
  expect(next('```\n- a|')).toBeNull();
});

it('opens code blocks and adds lines to them', () => {
  const enter = (written: string) => print(codeLine(parse(written)));
  expect(enter('```|')).toBe('```\n|\n```');
  expect(enter('See\n~~~rust|\nmore')).toBe('See\n~~~rust\n|\n~~~\nmore');
  expect(enter('  ```|')).toBe('  ```\n  |\n  ```');
  expect(enter('```\n  a|\n```')).toBe('```\n  a\n  |\n```');
  expect(enter('```\n«a»b')).toBe('```\n\n|b');
  expect(enter('```|\na\n```')).toBe('```\n|\na\n```');
  expect(enter('```\na\n```|')).toBeNull();
  expect(enter('```\na\n```\nb|')).toBeNull();
  expect(enter('```a``` b|')).toBeNull();
  expect(enter('plain|')).toBeNull();
});

it('indents list items one level below the item before them', () => {
  const tab = (written: string, direction: 'in' | 'out' = 'in') => print(indentItems(parse(written), direction));
  expect(tab('- a\n- b|')).toBe('- a\n  - b|');
  expect(tab('1. a\n2. b|')).toBe('1. a\n   2. b|');
  expect(tab('- a\n«- b\n- c»')).toBe('- a\n  «- b\n  - c»');
  expect(tab('- a\n  - b\n  - c|')).toBe('- a\n  - b\n    - c|');
  expect(tab('- a\n  - b|', 'out')).toBe('- a\n- b|');
  expect(tab('- a\n  - b\n    - c|', 'out')).toBe('- a\n  - b\n  - c|');
  // Tab and Shift-Tab leave the field.
  expect(tab('- a|')).toBeNull();
  expect(tab('- a\n  - b|')).toBeNull();
  expect(tab('- a|', 'out')).toBeNull();
  expect(tab('plain|')).toBeNull();
  expect(tab('- a\n\nplain\n- b|')).toBeNull();
  expect(tab('```\n- a\n- b|')).toBeNull();
});
