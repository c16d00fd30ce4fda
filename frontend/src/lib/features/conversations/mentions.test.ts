import fc from '#lib/util/property-testing.ts';
import { describe, expect, it } from 'vitest';
import cases from './mentions.json';
import { mentionsIn, mentionsReader, cutMentions, isMentioned, type Name } from './mentions.ts';
import { mentionQueryAt, escapeName, mentionsAfterEdit, matching, withHere } from './composer/mention-query.ts';

const names: Name[] = [
  { name: 'Mai', kind: 'person' },
  { id: 'u2', name: 'Mai Trần', kind: 'person' },
  { name: 'Elena', kind: 'me' },
  { id: 'a1', name: 'Quill', kind: 'assistant' },
  { name: 'all', kind: 'all' }
];

describe('mentions', () => {
  it('are found by the longest matching name', () => {
    expect(cutMentions('Hi @Mai Trần and @quill, see', names)).toEqual([
      { text: 'Hi ', kind: null },
      { text: '@Mai Trần', kind: 'person', id: 'u2' },
      { text: ' and ', kind: null },
      { text: '@quill', kind: 'assistant', id: 'a1' },
      { text: ', see', kind: null }
    ]);
  });

  it('include custom emoji of the workspace', () => {
    const known: Name[] = [...names, { id: 'f1', name: 'party_cat:', kind: 'emoji' }];
    expect(cutMentions('at 10:30: :party_cat:, not :other: or a:party_cat:', known)).toEqual([
      { text: 'at 10:30: ', kind: null },
      { text: ':party_cat:', kind: 'emoji', id: 'f1' },
      { text: ', not :other: or a:party_cat:', kind: null }
    ]);
  });

  it('match whole names only', () => {
    expect(mentionsReader('mail me@Elena', names)).toBe(false);
    expect(mentionsReader('@Elenas', names)).toBe(false);
    expect(mentionsReader('@@Elena!', names)).toBe(true);
  });

  // The server's tests run the same cases.
  it.each(cases)('of $names in $text', ({ text, names, called }) => {
    const known = names.map((name): Name => ({ id: name, name, kind: 'assistant' }));
    expect(new Set(mentionsIn(text, known).map(({ id }) => id))).toEqual(new Set(called));
  });

  const name = fc.constantFrom('Quill', 'Mai Trần', '小明', '田中', 'สมชาย', '민수', 'C++');
  const formed = fc.constantFrom('NFC', 'NFD');

  it('match names with any characters, as Markdown parses them', () => {
    const letters = fc.constantFrom(...'aB1 ._*`~[]()<>$|&;#!\\-é明');
    const name = fc.string({ unit: letters, minLength: 1, maxLength: 8 }).map((name) => `A${name.trim()}z`);
    fc.assert(
      fc.property(name, name, (name, other) => {
        const named = [name, other].map((name): Name => ({ id: name, name, kind: 'assistant' }));
        const text = `@${escapeName(name)} and **@${escapeName(other)}**, _see_ \`code\` ~~x~~`;
        expect(mentionsIn(text, named).map(({ id }) => id)).toEqual([...new Set([name, other])]);
      })
    );
    expect(['a_b_c', 'Mai Trần', 'C++', 'R&D', 'O(n)'].filter((name) => escapeName(name) !== name)).toEqual([]);
    expect(escapeName('_Anna_B*')).toBe(String.raw`\_Anna_B\*`);
  });

  it('resolve a duplicate name to the first known person', () => {
    const [first, second] = ['u1', 'u2'].map((id): Name => ({ id, name: 'Anna', kind: 'person' }));
    if (!first || !second) throw new Error('two of them');
    expect(mentionsIn('@Anna', [{ name: 'Anna', kind: 'me' }, first, second])).toEqual([]);
    expect(mentionsIn('@Anna', [second, { name: 'Anna', kind: 'me' }, first, second])).toEqual([
      { kind: 'user', id: 'u2' }
    ]);
    expect(mentionsAfterEdit('@Anna!', [first, second], [{ kind: 'user', id: 'u2' }])).toEqual([
      { kind: 'user', id: 'u2' }
    ]);
  });

  it('are found between characters of scripts without spaces, in any normal form', () => {
    const unspaced = fc.constantFrom('看', 'の', 'カ', 'ー', '에', 'ก', '。', '，', '「', '」', '');
    fc.assert(
      fc.property(unspaced, name, formed, formed, unspaced, (before, name, said, known, after) => {
        const names: Name[] = [{ id: 'one', name: name.normalize(known), kind: 'assistant' }];
        expect(mentionsIn(`${before}@${name}${after}`.normalize(said), names)).toHaveLength(1);
      })
    );
  });

  it('are ignored in code, links and quotes', () => {
    const around = fc.constantFrom('`', '```\n', '> ', '[', '<https://a.example/', 'https://a.example/?q=');
    const closing: Record<string, string> = {
      '`': '`',
      '```\n': '\n```',
      '[': '](https://a.example)',
      '<https://a.example/': '>'
    };
    fc.assert(
      fc.property(around, name, (opening, name) => {
        fc.pre(!opening.includes('https') || /^[a-z]+$/i.test(name));
        const names: Name[] = [{ id: 'one', name, kind: 'assistant' }];
        expect(mentionsIn(`Say:\n\n${opening}@${name}${closing[opening] ?? ''}`, names)).toEqual([]);
      })
    );
  });

  it('lose no text', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.constantFrom('@', 'Mai', ' ', 'Trần', 'Tra\u0302\u0300n', 'Quill', 'x', '@Elena', '＠', '😀', '\u0301'),
          { maxLength: 20 }
        ),
        (parts) => {
          const text = parts.join('');
          expect(
            cutMentions(text, names)
              .map((piece) => piece.text)
              .join('')
          ).toBe(text);
        }
      )
    );
  });

  it('are sent once each, without the reader', () => {
    expect(mentionsIn('@Mai Trần, @quill and @Elena: @mai trần!', names)).toEqual([
      { kind: 'user', id: 'u2' },
      { kind: 'assistant', id: 'a1' }
    ]);
    expect(mentionsIn('@all, lunch', names)).toEqual([{ kind: 'all' }]);
    expect(mentionsIn('@allison', names)).toEqual([]);
  });

  it('after an edit are those in the text and those without a known name', () => {
    const before = [{ kind: 'user' as const, id: 'u2' }, { kind: 'user' as const, id: 'u9' }, { kind: 'all' as const }];
    expect(mentionsAfterEdit('@quill, please', names, before)).toEqual([
      { kind: 'assistant', id: 'a1' },
      { kind: 'user', id: 'u9' }
    ]);
    expect(mentionsAfterEdit('@Mai Trần, please', names, before.slice(0, 1))).toEqual([{ kind: 'user', id: 'u2' }]);
  });

  it('of everyone become those of online members, except in code and quotes', () => {
    const known: Name[] = [...names, { name: 'here', kind: 'here' }];
    expect(withHere('@all: run `@all`, **@ALL**\n\n> @all', known)).toBe('@here: run `@all`, **@here**\n\n> @all');
  });

  it('include the reader by id and by group mention', () => {
    expect(isMentioned([{ kind: 'user', id: 'me' }], 'me')).toBe(true);
    expect(isMentioned([{ kind: 'here' }], 'me')).toBe(true);
    expect(isMentioned([{ kind: 'user', id: 'u2' }], 'me')).toBe(false);
    expect(isMentioned([{ kind: 'assistant', id: 'me' }], 'me')).toBe(false);
  });

  it('are completed right before the caret', () => {
    expect(mentionQueryAt('ask @qu', 7)).toEqual({ at: 4, query: 'qu' });
    expect(mentionQueryAt('ask @Mai Tr', 11)).toEqual({ at: 4, query: 'Mai Tr' });
    expect(mentionQueryAt('问@小', 3)).toEqual({ at: 1, query: '小' });
    expect(mentionQueryAt('ask ＠qu', 7)).toEqual({ at: 4, query: 'qu' });
    expect(mentionQueryAt('(@Mai Tr\u1ea7n/@qu', 14)).toEqual({ at: 11, query: 'qu' });
    expect(mentionQueryAt('example.org/@qu', 15)).toBeNull();
    expect(mentionQueryAt('me@qu', 5)).toBeNull();
    expect(mentionQueryAt('@qu\nnext', 8)).toBeNull();
    expect(mentionQueryAt('plain', 5)).toBeNull();
  });

  it('are matched without accents and by any word', () => {
    expect(matching(names, 'tran').map((one) => one.name)).toEqual(['Mai Trần']);
    expect(matching(names, 'm').map((one) => one.name)).toEqual(['Mai', 'Mai Trần']);
    expect(matching(names, 'elena')).toEqual([]);
  });

  it('offer group mentions for a bare @, however many people there are', () => {
    const people = Array.from({ length: 30 }, (_, at): Name => ({ id: `p${at}`, name: `A${at}`, kind: 'person' }));
    const offered = matching([...people, { name: 'all', kind: 'all' }, { name: 'here', kind: 'here' }], '');
    expect(offered).toHaveLength(6);
    expect(offered.slice(4).map(({ name }) => name)).toEqual(['all', 'here']);
  });
});
