/** Checks with random inputs that no text disappears. */
import fc from '#lib/util/property-testing.ts';
import { describe, expect, it } from 'vitest';
import { isBlank } from '../blank-text.ts';
import { GrowingMarkdown } from '../streaming.ts';
import { parse } from '../parse.ts';
import { plainText } from '../plain.ts';
import { MARKS, SCRIPTS } from './testing.ts';

const values = (node: unknown): [string, unknown][] => (typeof node === 'object' && node ? Object.entries(node) : []);

/** Text of a tree as it is rendered. */
function drawn(node: unknown): string {
  if (Array.isArray(node)) return node.map(drawn).join('');
  const { type, language, text } = { type: '', language: undefined, text: undefined, ...(node as object) };
  const letters = values(node).map(([key, value]) =>
    ['text', 'mark', 'info', 'language'].includes(key) ? String(value ?? '') : drawn(value)
  );
  // A rule or an unfinished code block is visible although it has no text.
  return (type === 'rule' || (language !== undefined && text === '') ? '-' : '') + letters.join('');
}

/** Targets and titles of the links of a tree. */
function behind(node: unknown): string {
  if (Array.isArray(node)) return node.map(behind).join(' ');
  return values(node)
    .map(([key, value]) =>
      key === 'href' || key === 'title' ? decodeURIComponent(String(value ?? '')) : behind(value)
    )
    .join(' ');
}

/** Random markup and words. */
const written = fc
  .array(
    fc.oneof(
      fc.constantFrom(...MARKS),
      fc.constantFrom(...SCRIPTS).map((letter) => ({ letter }))
    ),
    {
      maxLength: 24,
      size: 'max'
    }
  )
  .map((pieces) => {
    const words: string[] = [];
    const text = pieces.map((piece) => {
      if (typeof piece === 'string') return piece;
      const word = `${piece.letter}${String(words.length).padStart(2, '0')}`;
      words.push(word);
      return word;
    });
    return { text: text.join(''), words };
  });

const lost = (words: readonly string[], shown: string) => words.filter((word) => !shown.includes(word));

describe('text is shown completely', () => {
  it('for any markup around its words', () => {
    fc.assert(
      fc.property(written, ({ text, words }) => {
        expect(lost(words, drawn(parse(text)) + behind(parse(text)))).toEqual([]);
      }),
      { numRuns: 2_000 }
    );
  });

  it('when it is streamed', () => {
    fc.assert(
      fc.property(written, ({ text, words }) => {
        const growing = new GrowingMarkdown();
        for (let end = 1; end < text.length; end += 7) growing.write(text.slice(0, end));
        growing.write(`${text}\n\nEnd.\n\n${'x '.repeat(1_100)}`);
        expect(lost(words, drawn(growing.blocks) + behind(growing.blocks))).toEqual([]);
      }),
      { numRuns: 300 }
    );
  });

  it('and never as blank', () => {
    fc.assert(
      fc.property(written, ({ text }) => {
        fc.pre(!isBlank(text));
        expect(isBlank(drawn(parse(text)))).toBe(false);
        expect(plainText(text)).not.toBe('');
      }),
      { numRuns: 2_000 }
    );
  });

  it('as one line of plain text', () => {
    fc.assert(
      fc.property(written, ({ text, words }) => {
        const tree = parse(text);
        const isLanguage = (word: string) =>
          new RegExp(`"language":"(?:[^"\\\\]|\\\\.)*${word}`).test(JSON.stringify(tree));
        const expected = words.filter((word) => drawn(tree).includes(word) && !isLanguage(word));
        expect(lost(expected, plainText(text, 10_000))).toEqual([]);
      }),
      { numRuns: 2_000 }
    );
  });

  it.each([
    ['+'],
    ['-'],
    ['#'],
    ['>'],
    ['1.'],
    ['> >', '>'],
    ['* *', '*'],
    ['```', '```'],
    ['```\n```', '``````'],
    ['``` ```'],
    ['` `'],
    ['| | |\n|-|-|', '| | ||-|-|'],
    ['&nbsp;'],
    ['&#8203;&#x200B;'],
    ['![]()'],
    ['[]()'],
    ['[INFO]: started'],
    ['[An]: yes'],
    ['see below[^1]\n\n[^1]: a note', 'see below[^1][^1]: a note'],
    ['[](https://c.example/)', 'https://c.example/'],
    ['[ ](https://c.example/)', 'https://c.example/'],
    ['[\u200b](https://c.example/)', 'https://c.example/'],
    ['![](https://c.example/)', 'https://c.example/'],
    ['[a]: https://c.example/1\n[a]: https://c.example/2\n\n[a]', '[a]: https://c.example/2a'],
    ['|a|\n|-|\n|b|c|d\\|e|', 'abcd|e'],
    ['a|b\n-|-\n1|2|3', 'ab123'],
    ['```sh the first line\ncode\n```', 'shcodesh the first line'],
    ['0. none\n1. one', '0.none1.one'],
    ['07. James\n9. Moneypenny', '07.James9.Moneypenny'],
    ['3) three\n2) two\n1) one', '3)three2)two1)one'],
    ['1. a\n1. b\n1. c', '1.a2.b3.c'],
    ['1986. A good year', '1986.A good year'],
    ['- [x] done\n\n- [ ] open', 'doneopen'],
    ['Bye\n--\nAnna', 'Bye--Anna'],
    ['a\n-', 'a-'],
    ['a\n=', 'a='],
    ['2026. 1. 5.'],
    ['- 24. 12. 2026', '24. 12. 2026'],
    ['>= 5'],
    ['>90% of it'],
    ['>_<'],
    ['>:('],
    ['>> >= 5', '>= 5'],
    ['2*3*4 and 5*x + 3*y'],
    ['2**10 and 3**2'],
    ['x**2 + y**2'],
    ['10~20개, 30~40개'],
    ['~5개, 10~20개'],
    ['월~금 9~18시'],
    ['¯\\_(ツ)_/¯'],
    ['¯\\\\\\_(ツ)\\_/¯', '¯\\_(ツ)_/¯'],
    ['\\\\server\\share'],
    ['C:\\*.txt and D:\\_a\\_b']
  ])('as intended: %s', (text, shown = text) => {
    expect(drawn(parse(text)).replaceAll('\u200b', '')).toBe(shown);
  });
});

describe('emphasis in scripts without spaces', () => {
  const strong = (text: string) =>
    parse(text).flatMap((block) =>
      'children' in block ? block.children.flatMap((one) => (one.type === 'strong' ? [drawn(one.children)] : [])) : []
    );

  it.each([
    ['**经过十年，**年', '经过十年，'],
    ['这是**“重点”**的', '“重点”'],
    ['これは**「大事なこと」**です。', '「大事なこと」'],
    ['見て**（注）**次', '（注）'],
    ['한국어 **마크다운(Markdown)**을 쓴다', '마크다운(Markdown)'],
    ['ภาษา**"ไทย"**ครับ', '"ไทย"'],
    ['先**重要！**后', '重要！'],
    ['**重要😀**です', '重要😀'],
    ['他说：**“好”**，然后', '“好”'],
    ['看**`code`**吧', 'code'],
    ['**a.** b', 'a.'],
    ['见***（全部）***吧', null]
  ])('is parsed: %s', (text, words) => {
    if (words !== null) expect(strong(text)).toEqual([words]);
    expect(drawn(parse(text))).not.toContain('*');
    // While streaming, no asterisks are shown either.
    const growing = new GrowingMarkdown();
    for (let end = 1; end <= text.length; end++) expect(drawn(growing.write(text.slice(0, end)))).not.toContain('*');
  });

  it.each(['2 * 3 * 4', '** 重要 **', '看 ** 这 **', 'a**"b"**c', '__重要。__次', '文_件_名'])(
    'is plain text, as in CommonMark: %s',
    (text) => {
      expect(drawn(parse(text))).toBe(text);
    }
  );

  it.each(['*_*', 'ok *-* bye', '(*^▽^*)', '~_~', '(*_*)', 'see __init__.py', 'a.__class__.name', 'obj.__str__()'])(
    'is not parsed in emoticons and identifiers: %s',
    (text) => {
      expect(drawn(parse(text))).toBe(text);
    }
  );

  it.each(['**!**', '*😀*', '*a-*', '__init__ it', '***', '~~-~~'])('is parsed beside punctuation: %s', (text) => {
    expect(drawn(parse(text))).not.toBe(text);
  });

  it.each(['见~~旧的，~~新的', '(~old~) new', '~취소~는 없다', 'a~~1~~2'])('is parsed as strikethrough: %s', (text) => {
    expect(JSON.stringify(parse(text))).toContain('"del"');
    expect(drawn(parse(text))).not.toContain('~');
  });

  it.each(['第2**AI**の', '1**a**', '**5**6', 'a*b*c'])('is parsed beside digits that are no product: %s', (text) => {
    expect(drawn(parse(text))).not.toContain('*');
  });
});
