import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { locales, number, overwriteLocale, plural } from '#lib/i18n/locale.ts';
import { m } from '#lib/paraglide/messages.js';
import { BASE, LOCALES, compile, declarationOf, moduleOf, readSources, writeMessages } from './messages.mjs';

type Message = { inputs: Set<string>; expressions: Record<string, string> };

afterEach(() => overwriteLocale('en'));

/** One message with these sources, and the text for these inputs in a language. */
function compiled(en: unknown, vi?: unknown) {
  const messages: Map<string, Message> = compile({ en: { one: en }, vi: vi === undefined ? {} : { one: vi } });
  const message = messages.get('one')!;
  const text = (locale: string, i: Record<string, unknown> = {}): string =>
    new Function('i', 'number', 'plural', `return ${message.expressions[locale]}`)(i, number, plural);
  return { message, text };
}

const variants = (match: Record<string, string>, selectors = ['countPlural'], inputs = ['count']) => [
  {
    declarations: [
      ...inputs.map((input) => `input ${input}`),
      ...inputs.map((input) => `local ${input}Plural = ${input}: plural`),
      'local countText = count: number'
    ],
    selectors,
    match
  }
];
const FILES = variants({ 'countPlural=one': '{countText} file', 'countPlural=other': '{countText} files' });

it('puts inputs into a text', () => {
  const { message, text } = compiled('{name} and {other}', '{other} và {name}');
  expect([...message.inputs]).toEqual(['name', 'other']);
  expect(text('en', { name: 'Mai', other: 'Lan' })).toBe('Mai and Lan');
  expect(text('vi', { name: 'Mai', other: 'Lan' })).toBe('Lan và Mai');
});

it('keeps the characters of a text that mean something in code', () => {
  for (const string of ['a `b` c', 'C:\\new', '$5', "it's “so”", '¯\\_(ツ)_/¯', 'two\nlines', '*/'])
    expect(compiled(string).text('en')).toBe(string);
  expect(compiled('${amount}').text('en', { amount: 5 })).toBe('$5');
});

it('selects a variant by the plural of the language', () => {
  const { text } = compiled(FILES, '{count} tệp');
  expect(text('en', { count: 1 })).toBe('1 file');
  expect(text('en', { count: '2' })).toBe('2 files');
  expect(text('en', { count: 12_000 })).toBe('12,000 files');
  expect(text('vi', { count: 1 })).toBe('1 tệp');
});

it('selects by two numbers', () => {
  const match = Object.fromEntries(
    ['one', 'other'].flatMap((count) =>
      ['one', 'other'].map((more) => [`countPlural=${count}, morePlural=${more}`, `${count} {count} ${more} {more}`])
    )
  );
  const { text } = compiled(variants(match, ['countPlural', 'morePlural'], ['count', 'more']));
  expect(text('en', { count: 1, more: 2 })).toBe('one 1 other 2');
  expect(text('en', { count: 0, more: 1 })).toBe('other 0 one 1');
});

it('takes the base language where a translation is missing', () => {
  const { text } = compiled(FILES);
  expect(text('vi', { count: 1 })).toBe('1 file');
  expect(text('vi', { count: 12_000 })).toBe('12,000 files');
});

it.each([
  ['a {name', 'stray brace'],
  ['a {na me}', 'stray brace'],
  [variants({ 'countPlural=one': '' }), 'has the plurals one'],
  [variants({ 'countPlural=one': '', 'countPlural=few': '', 'countPlural=other': '' }), 'few'],
  [variants({ 'countPlural=one': '{name}', 'countPlural=other': '' }), '{name} is not declared'],
  [variants({ 'otherPlural=one': '', 'countPlural=other': '' }), 'does not fit the selectors'],
  [variants({ 'count=1': '', 'count=other': '' }, ['count']), 'count is no plural'],
  [[{ declarations: ['local x = y: datetime'], selectors: [], match: { '': 'a' } }], 'local x = y: datetime'],
  [[...FILES, ...FILES], 'more than one set']
])('refuses %j', (source, reason) => {
  expect(() => compiled(source)).toThrow(`messages/en.json: one: `);
  expect(() => compiled(source)).toThrow(reason);
});

it('refuses names that can’t be files, and translations of nothing', () => {
  expect(() => compile({ en: { Name: 'a' } })).toThrow('Name');
  expect(() => compile({ en: {}, vi: { one: 'a' } })).toThrow('lacks one of vi');
});

it('exports a message whose name is a reserved word', () => {
  const messages = compile({ en: { $schema: '', delete: 'Delete' }, vi: { delete: 'Xóa' } });
  expect([...messages.keys()]).toEqual(['delete']);
  expect(moduleOf('delete', messages.get('delete'), 'rest', 0)).toContain('export { message as delete };');
});

it('declares the inputs of all languages', () => {
  const messages = compile({
    en: { one: 'One */', two: '{a}', three: FILES },
    vi: { two: '{a} {b}', three: '{count}' }
  });
  expect(declarationOf(messages)).toBe(`export declare const m: {
  /** One *\\/ */
  one: () => string;
  /** {a} */
  two: (inputs: { a: NonNullable<unknown>, b: NonNullable<unknown> }) => string;
  /** {countText} file | {countText} files */
  three: (inputs: { count: NonNullable<unknown> }) => string;
};
`);
});

it('writes what has changed and removes what is gone', () => {
  const folder = mkdtempSync(join(tmpdir(), 'natter-messages-'));
  const file = (name: string) => join(folder, 'messages', `${name}.js`);
  try {
    const [first, second] = [new Map(), new Map()];
    for (const name of ['one', 'two', 'gone']) first.set(name, 'rest');
    for (const name of ['one', 'two']) second.set(name, name === 'one' ? 'rest' : 'initial');
    writeMessages(folder, compile({ en: { one: 'One', two: 'Two', gone: 'Gone' } }), first);
    for (const name of ['one', 'two']) utimesSync(file(name), 1, 1);
    writeFileSync(join(folder, 'left.js'), '');
    writeMessages(folder, compile({ en: { one: 'One', two: '2' } }), second);
    expect(statSync(file('one')).mtimeMs).toBe(1000);
    expect(readFileSync(file('two'), 'utf8')).toContain('groups/initial.js');
    expect(readFileSync(join(folder, 'groups/initial/en.js'), 'utf8')).toContain('() => `2`');
    expect(readdirSync(folder).sort()).toEqual(['groups', 'messages', 'messages.d.ts', 'messages.js']);
    expect(readdirSync(join(folder, 'messages')).sort()).toEqual(['_index.js', 'one.js', 'two.js']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('compiles the messages of the app for its languages', () => {
  expect(LOCALES).toEqual(locales);
  expect(BASE).toBe(locales[0]);
  const sources = readSources();
  for (const locale of LOCALES) expect(Object.keys(sources[locale])).toHaveLength(Object.keys(sources[BASE]).length);
  expect(m.members_count({ count: 1200 })).toBe('1,200 people');
  overwriteLocale('vi');
  expect(m.members_count({ count: 1200 })).toBe('1.200 người');
  // @ts-expect-error an input is missing
  expect(m.members_count({})).toBe('NaN người');
  // @ts-expect-error no such message
  expect(m.no_such_message).toBeUndefined();
  // @ts-expect-error it has no inputs
  expect(m.add({ name: '' })).toBe('Thêm');
});
