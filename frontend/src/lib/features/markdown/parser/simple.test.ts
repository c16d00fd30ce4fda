/** Checks that the fast parser of simple messages produces the same tree as the full grammar. */
import fc from '#lib/util/property-testing.ts';
import { expect, it } from 'vitest';
import { HOSTILE } from '../hostile.ts';
import { lex } from './lexer.ts';
import { parse, parseOnce, toBlocks } from '../parse.ts';
import { mayHoldMarks, paragraphsOf } from './simple.ts';
import { MARKS, SCRIPTS } from './testing.ts';

const WORDS = [
  ...SCRIPTS,
  'heron',
  '7',
  '12.',
  '3.5',
  'a@b',
  ' @Anna',
  ' #ships',
  ':wave:',
  'http://',
  'WWW.c.example'
];
const SPACES = [' ', ' ', '  ', '\n', '\n', '\n\n', '\n\n\n', '\t', '\u00a0', '\u3000', '\r\n', '\u2028'];
const SIGNS = [...'!"%&\'()+,-./:;=?@^{|}#$', '(c)', '...', ' - ', '--', '+1', ':-', '=', '\0', '\u200b'];

function sameFor(text: string) {
  expect(parse(text)).toEqual(toBlocks(lex(text)));
}

it.each([
  ['words alone', [...WORDS, ...SPACES, ...SIGNS]],
  [
    'words and a few marks',
    [...WORDS, ...WORDS, ...SPACES, ...SIGNS, '*', '**', '`', '_', '~', '[a](https://c.example)', '\\']
  ],
  ['any marks', [...WORDS, ...SPACES, ...MARKS]]
])('parses %s like the full parser, in any order', (_, pieces) => {
  const text = fc.array(fc.constantFrom(...pieces), { maxLength: 16, size: 'max' }).map((all) => all.join(''));
  fc.assert(fc.property(text, sameFor), { numRuns: 4_000 });
});

it('parses any characters like the full parser, in any order', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), sameFor), { numRuns: 2_000 });
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), sameFor), { numRuns: 2_000 });
});

it.each([
  ...MARKS,
  ...SIGNS,
  '1.',
  '12)',
  '***',
  '* * *',
  '_ _ _',
  '~~~ a',
  '#',
  '###### a',
  '[a]: b',
  '-|-',
  ':-',
  '    a'
])('parses block starts like the full parser: %j', (mark) => {
  for (const text of [
    mark,
    `${mark}a`,
    `${mark} a`,
    `a\n${mark}`,
    `a\n${mark}b\nc`,
    `a | b\n${mark}\nc`,
    `a\n\n${mark} b\n\nc`
  ])
    sameFor(text);
});

it.each(HOSTILE.filter(({ text }) => paragraphsOf(text) !== null).map(({ name, text }) => [name, text]))(
  'parses like the full parser: %s',
  (_, text) => sameFor(text)
);

it.each([
  ['The heron stands in the water, and waits: 3.5 hours (or more)!', ['']],
  ['One line\nand another\n\nA second paragraph — “quoted”, 7-8 times; @Anna #ships :wave:', ['', '']],
  ['Một con diệc đứng trong nước.', ['']],
  ['the **heron**\n\nand `code`', ['marks', 'marks']],
  ['see https://c.example\n\nor not', ['marks', '']],
  ['- a list', null],
  ['a\n=', null],
  ['costs $5', null]
])('classifies %j', (text, expected) => {
  expect(paragraphsOf(text)?.map((one) => (mayHoldMarks(one) ? 'marks' : '')) ?? null).toEqual(expected);
});

it('caches recent texts', () => {
  const blocks = parseOnce('the **heron**');
  expect(blocks).toEqual(parse('the **heron**'));
  expect(parseOnce('the **heron**')).toBe(blocks);
  for (let at = 0; at < 200; at++) parseOnce(`${at}`);
  expect(parseOnce('the **heron**')).not.toBe(blocks);
  expect(parseOnce('the **heron**')).toEqual(blocks);
});
