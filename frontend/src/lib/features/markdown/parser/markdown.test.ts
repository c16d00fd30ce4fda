import fc from '#lib/util/property-testing.ts';
import { describe, expect, it } from 'vitest';
import { GrowingMarkdown } from '../streaming.ts';
import { safeHref } from './links.ts';
import { HOSTILE } from '../hostile.ts';
import { MAX_DEPTH } from './lexer.ts';
import { parse } from '../parse.ts';
import { plainText } from '../plain.ts';
import type { Block, Inline } from '../tree.ts';

const first = (source: string) => parse(source)[0] as Block;
/** Text that a reader sees. */
function wordsOf(nodes: readonly unknown[]): string {
  return nodes
    .map((node) => {
      if (typeof node !== 'object' || node === null) return '';
      if ('text' in node && 'type' in node && !['code', 'math'].includes(node.type as string))
        return node.text as string;
      return wordsOf(
        Object.values(node)
          .filter((value) => typeof value === 'object')
          .flat(3)
      );
    })
    .join('');
}

const inlines = (source: string) => (first(source) as { children: Inline[] }).children;

describe('parse', () => {
  it('decodes entities in the targets of links', () => {
    const link = {
      type: 'link',
      href: 'https://a.example/?b=1&c=2',
      title: null,
      children: [{ type: 'text', text: 'x' }]
    };
    expect(parse('[x](https://a.example/?b=1&amp;c=2)')).toEqual([{ type: 'paragraph', children: [link] }]);
    expect(parse('[x](javascript&#58;alert(1))')).toEqual([
      { type: 'paragraph', children: [{ type: 'text', text: '[x](javascript&#58;alert(1))' }] }
    ]);
  });

  it('breaks lines by tags, as in the cells of tables', () => {
    const [table] = parse('| a |\n|---|\n| b<br>c<br />d |');
    const [b, c, d] = ['b', 'c', 'd'].map((text) => ({ type: 'text', text }));
    expect(table).toMatchObject({ type: 'table', rows: [[[b, { type: 'break' }, c, { type: 'break' }, d]]] });
  });

  it('parses emphasis, code, breaks and entities', () => {
    expect(inlines('**b** _i_ ~~d~~ `x<y`\nnext &lt;')).toEqual([
      { type: 'strong', children: [{ type: 'text', text: 'b' }] },
      { type: 'text', text: ' ' },
      { type: 'em', children: [{ type: 'text', text: 'i' }] },
      { type: 'text', text: ' ' },
      { type: 'del', children: [{ type: 'text', text: 'd' }] },
      { type: 'text', text: ' ' },
      { type: 'code', text: 'x<y' },
      { type: 'break' },
      { type: 'text', text: 'next <' }
    ]);
  });

  it('reads the language of a code block, closed or not', () => {
    expect(first('```rust\nfn main() {')).toEqual({ type: 'code', language: 'rust', text: 'fn main() {' });
    expect(first('```\nplain\n```')).toEqual({ type: 'code', language: null, text: 'plain' });
  });

  it('parses tables with their alignment', () => {
    expect(first('| a | b |\n|:-|-:|\n| 1 | 2 |')).toMatchObject({ type: 'table', align: ['left', 'right'] });
  });

  it('parses task lists', () => {
    const list = first('- [x] done\n- [ ] open\n- plain');
    expect(list.type === 'list' && list.items.map((item) => item.checked)).toEqual([true, false, null]);
  });

  it('shows a link address that the text does not contain', () => {
    const shown = (source: string) => parse(source).map((block) => wordsOf([block]));
    expect(shown('[1]: https://example.com/a')).toEqual(['[1]: https://example.com/a']);
    expect(inlines('[1]: https://example.com/a')[1]).toMatchObject({ type: 'link', href: 'https://example.com/a' });
    expect(shown('> [note]: /here "why"')).toEqual(['[note]: /here "why"']);
    const site = 'https://example.com';
    const addresses = `[the plan]: ${site}/p\n[B]: ${site}/b\n[c  D]: ${site}/c\n[e]: ${site}/e`;
    expect(shown(`See [the Plan], [it][b] and ![a map][C d].\n\n${addresses}`)).toEqual([
      'See the Plan, it and a map.',
      `[e]: ${site}/e`
    ]);
    // The target of the link is unsafe.
    expect(shown('See [it].\n\n[it]: javascript:alert(1)')).toEqual(['See [it].', '[it]: javascript:alert(1)']);
  });

  it('keeps the first number of a list', () => {
    expect(first('3. three\n4. four')).toMatchObject({ type: 'list', start: 3 });
    expect(first('0. none\n1. one')).toMatchObject({ type: 'list', start: 0 });
    expect(first('- dot')).toMatchObject({ type: 'list', start: null });
  });

  it('shows HTML as text', () => {
    expect(parse('<img src=x onerror=alert(1)>\n\n<b>hi</b>')).toEqual([
      { type: 'paragraph', children: [{ type: 'text', text: '<img src=x onerror=alert(1)>' }] },
      { type: 'paragraph', children: [{ type: 'text', text: '<b>hi</b>' }] }
    ]);
  });

  it('turns an image into a link, so that its host does not learn who read it', () => {
    expect(inlines('![graph](https://x.example/g.png)')[0]).toMatchObject({
      type: 'link',
      href: 'https://x.example/g.png'
    });
  });
});

describe('links', () => {
  it.each([
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    'data:text/html,x',
    'vbscript:x',
    'file:///etc/passwd',
    '/r1/auth/logout'
  ])('never have the target %s', (href) => {
    expect(safeHref(href)).toBeNull();
    expect(JSON.stringify(parse(`[x](${href}) <${href}>`))).not.toContain('"link"');
  });

  it('allow web, mail and phone addresses', () => {
    expect(inlines('https://a.example www.b.example me@c.example').filter((one) => one.type === 'link')).toMatchObject([
      { href: 'https://a.example/' },
      { href: 'http://www.b.example/' },
      { href: 'mailto:me@c.example' }
    ]);
  });

  const addresses = (source: string) =>
    inlines(source).flatMap((one) => (one.type === 'link' ? [wordsOf(one.children)] : []));

  it.each([
    ['请看https://a.example/x。谢谢', 'https://a.example/x'],
    ['（https://a.example/x）', 'https://a.example/x'],
    ['「https://a.example/?q=1&b=2」です', 'https://a.example/?q=1&b=2'],
    ['https://a.exampleをご覧ください', 'https://a.example'],
    ['https://a.example/x，https，是的', 'https://a.example/x'],
    ['https://a.example/docs에서 봐요', 'https://a.example/docs'],
    ['请看https://a.example/wiki/北京。', 'https://a.example/wiki/北京'],
    ['https://a.example/wiki/東京タワー?q=大阪&x=한국#ประวัติ', 'https://a.example/wiki/東京タワー?q=大阪&x=한국#ประวัติ'],
    ['https://a.example/wiki/北京市看看', 'https://a.example/wiki/北京市看看'],
    ['https://a.example/京都-大阪_線/x線', 'https://a.example/京都-大阪_線/x'],
    ['www.a.example看/x', 'www.a.example'],
    ['ดูhttps://a.example/xครับ', 'https://a.example/x'],
    ['انظر https://a.example/x، ثم', 'https://a.example/x'],
    ['https://a.example/x…', 'https://a.example/x'],
    ['“https://a.example/x”', 'https://a.example/x'],
    ['https://a.example/x\u200b次', 'https://a.example/x'],
    ['www.a.example/x。', 'www.a.example/x'],
    ['https://a.example/caf\u00e9/M\u00fcller?', 'https://a.example/caf\u00e9/M\u00fcller'],
    ['(see https://a.example/x).', 'https://a.example/x'],
    ['https://a.example/wiki/X_(y)', 'https://a.example/wiki/X_(y)'],
    ['(https://a.example/wiki/X_(y_(z)))', 'https://a.example/wiki/X_(y_(z))'],
    ['[see https://a.example/x]', 'https://a.example/x'],
    ['https://a.example/?a[]=1&b[x]', 'https://a.example/?a[]=1&b[x]'],
    ['https://a.example/x&hellip;', 'https://a.example/x'],
    ['https://a.example/x&y;', 'https://a.example/x'],
    ['https://a.example/?to=https://b.example/y', 'https://a.example/?to=https://b.example/y'],
    ['{"url":"https://a.example/x","id":1}', 'https://a.example/x'],
    ['`https://a.example/x', 'https://a.example/x'],
    ['|https://a.example/x|', 'https://a.example/x'],
    ['https://a.example(see)', 'https://a.example'],
    ['https://a.example/x😀', 'https://a.example/x'],
    ['https://a.example👍🏽', 'https://a.example'],
    ['https://a.example/👍🏽 ok', 'https://a.example/👍🏽'],
    ['https://пример.example/x', 'https://пример.example/x'],
    ['https://übung.example', 'https://übung.example'],
    ['见http://例え.example/x。', 'http://例え.example/x'],
    ['https://例子.测试/路径', 'https://例子.测试/路径'],
    ['https://a.example和b.example都可以', 'https://a.example']
  ])('end with their address: %s', (source, address) => {
    expect(addresses(source)).toEqual([address]);
  });

  it('are split at commas', () => {
    expect(addresses('https://a.example,https://b.example/x,https://c.example')).toEqual([
      'https://a.example',
      'https://b.example/x',
      'https://c.example'
    ]);
  });

  it('keep all characters around an address', () => {
    const piece = fc.constantFrom(
      'https://a.example',
      'http://b.example/x_(y)',
      'www.c.example/z?q=1#e',
      'me@d.example',
      ...[
        '(',
        ')',
        ')',
        ']',
        '}',
        '。',
        '，',
        '、',
        '！',
        '「',
        '」',
        '（',
        '）',
        '“',
        '”',
        '…',
        '،',
        '.',
        ',',
        '?',
        "'"
      ],
      ...['看', 'です', 'カー', '에서', 'ครับ', 'của', 'ещё', 'word', ' ', ' ', '/', '-', '\u200b', '👩\u200d💻']
    );
    const seen = (text: string) => text.replaceAll(/\s/g, '');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const source = `Say ${pieces.join('')}`;
        expect(seen(wordsOf(parse(source)))).toBe(seen(source));
        for (const address of addresses(source))
          expect(address).not.toMatch(/[。，、！「」（）“”…،\u200b]|[a-z\d.,)\]}'][看でカ에ค]/);
      }),
      { numRuns: 1_000 }
    );
  });

  it('are found in long runs of brackets and dots', () => {
    for (const tail of [')'.repeat(50_000), '('.repeat(50_000), '.'.repeat(50_000) + 'x', '&a;'.repeat(20_000)])
      expect(wordsOf(parse(`https://a.example/x${tail}`))).toContain('https://a.example/x');
  });

  it('are safe for any input', () => {
    const walk = (node: Block | Inline): string[] => [
      ...(node.type === 'link' ? [node.href] : []),
      ...Object.values(node).flatMap((value) =>
        Array.isArray(value)
          ? value
              .flat(3)
              .flatMap((one) =>
                one && typeof one === 'object'
                  ? 'blocks' in one && !('type' in one)
                    ? one.blocks.flatMap(walk)
                    : walk(one as Block)
                  : []
              )
          : []
      )
    ];
    const piece = fc.constantFrom(
      '[a](',
      'javascript:',
      'data:',
      'https://x.example',
      ')',
      '<',
      '>',
      '![',
      ']',
      '\n',
      '- ',
      '&#106;avascript:',
      ' ',
      '\\',
      '`'
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30, size: 'max' }), (pieces) => {
        for (const href of parse(pieces.join('')).flatMap(walk)) expect(href).toMatch(/^(https?|mailto|tel):/);
      })
    );
  });
});

describe('hostile texts', () => {
  const depth = (node: unknown): number => {
    if (typeof node !== 'object' || node === null) return 0;
    const own =
      'type' in node && ['quote', 'list', 'strong', 'em', 'del', 'link'].includes(node.type as string) ? 1 : 0;
    return own + Math.max(0, ...Object.values(node).flat(3).map(depth));
  };

  it.each(HOSTILE.map(({ name, text }) => [name, text] as const))('%s: parsed within bounds and shown', (_, text) => {
    const blocks = parse(text);
    expect(depth(blocks)).toBeLessThanOrEqual(2 * MAX_DEPTH);
    expect(JSON.stringify(blocks).length).toBeLessThan(400_000);
    expect(new GrowingMarkdown().write(text)).toBeDefined();
    expect(plainText(text).length).toBeLessThanOrEqual(140);
  });

  it('keep deep nesting as plain text', () => {
    expect(JSON.stringify(parse(`${'>'.repeat(200)} deep`))).toContain('deep');
    expect(JSON.stringify(parse(`${'**'.repeat(192)}a${'**'.repeat(192)}`))).toContain('a');
    expect(JSON.stringify(parse('1. '.repeat(100) + 'deep'))).toContain('deep');
  });

  it('do not expand a short row into a thousand cells', () => {
    const [table] = parse(`${'|a'.repeat(800)}\n${'|-'.repeat(800)}\n${'|\n'.repeat(900)}`);
    expect(table?.type).toBe('paragraph');
  });
});

describe('link labels', () => {
  const shown = (label: string, href = 'https://evil.example/x') => {
    const [link] = inlines(`[${label}](${href})`);
    return link?.type === 'link' ? link.children.map((one) => ('text' in one ? one.text : '*')).join('') : null;
  };

  it.each([
    'https://bank.example',
    'HTTPS://Bank.Example/login',
    'www.bank.example',
    'See https://bank.example now',
    'https://evil.example@bank.example/',
    'https://bank.example/https://evil.example/',
    'h\u200bttps://bank.example',
    'https://bank\u3002example',
    '\u202ehttps://bank.example'
  ])('that show another site are replaced: %s', (label) => {
    expect(shown(label)).toBe('https://evil.example/x');
  });

  it.each(['bank.example', 'bank.example/login', 'me@bank.example', 'main.rs'])(
    'that may be a site name get the real site appended: %s',
    (label) => {
      expect(shown(label)).toBe(`${label} (evil.example)`);
    }
  );

  it.each([
    'the docs',
    '[a]',
    'https://evil.example',
    'evil.example',
    'www.evil.example/x',
    'Version 2.3.7',
    'Mr. Smith'
  ])('without a foreign site stay unchanged: %s', (label) => {
    expect(shown(label)).toBe(label);
  });

  it('of mail addresses are compared by domain', () => {
    expect(shown('me@c.example', 'mailto:me@c.example')).toBe('me@c.example');
    expect(shown('me@bank.example', 'mailto:me@c.example')).toBe('me@bank.example (c.example)');
  });
});

describe('formulas', () => {
  const math = (source: string) => inlines(source).filter((one) => one.type === 'math');

  it.each([
    ['$e^{i\\pi}+1=0$', 'e^{i\\pi}+1=0'],
    ['so $x$, then', 'x'],
    ['\\(a_1 * b_2\\)', 'a_1 * b_2'],
    ['**bold** $a * b$ and *c*', 'a * b'],
    ['$5$', '5'],
    ['$5 + 6$', '5 + 6'],
    ['a $\\$5$', '\\$5']
  ])('inline: %s', (source, text) => {
    expect(math(source)).toEqual([{ type: 'math', text, display: false }]);
  });

  it.each([
    '$5 and $10',
    'from $5 to 10$',
    'US$5-US$6',
    '$HOME/bin:$PATH',
    '`$x$`',
    '\\$x$',
    'a $ b $ c',
    '$5, maybe ($6)',
    '$x\ny$',
    'costs 5$ or 6$'
  ])('excluding prices, variables and code: %s', (source) => {
    expect(math(source)).toEqual([]);
  });

  it('as blocks', () => {
    for (const source of ['$$\na\n$$', '$$a$$', '\\[a\\]', '\\[\na\n\\]']) {
      expect(parse(`Before\n${source}\nafter`)).toMatchObject([
        { type: 'paragraph' },
        { type: 'math', text: 'a' },
        { type: 'paragraph' }
      ]);
    }
    expect(math('in a line $$a$$ too')).toEqual([{ type: 'math', text: 'a', display: true }]);
    expect(parse('$$\na\n\nb')).toMatchObject([{ type: 'paragraph' }, { type: 'paragraph' }]);
  });
});

describe('streaming text', () => {
  const sentence = fc.constantFrom('One sentence. ', '**bold** ', 'a\nb ', '`code` ', '5 * 3 ', '# not a title');
  const block = fc.oneof(
    fc.array(sentence, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('')),
    fc.constantFrom('```ts\nconst a = 1;\n\nconst b = 2;\n```', '- one\n- two\n\n  more of two\n- three', '1. a\n2. b'),
    fc.constantFrom(
      '| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |',
      '> quoted\n> more',
      '---',
      '## Title',
      '    indented',
      '<div>\nx\n</div>'
    )
  );
  const document = fc.array(block, { maxLength: 8, size: 'max' }).map((blocks) => blocks.join('\n\n'));

  it('ends with the same tree as a single parse', () => {
    fc.assert(
      fc.property(document, fc.array(fc.nat({ max: 9 }), { minLength: 1 }), (source, cuts) => {
        const growing = new GrowingMarkdown();
        for (let at = 0, turn = 0; at < source.length; turn++) {
          at += 1 + (cuts[turn % cuts.length] ?? 0);
          growing.write(source.slice(0, at));
        }
        // The text that was held back at the end appears with the next block.
        expect(growing.write(`${source}\n\nEnd.`)).toEqual(parse(`${source}\n\nEnd.`));
      }),
      { numRuns: 500 }
    );
  });

  it('keeps the objects of finished blocks', () => {
    const growing = new GrowingMarkdown();
    const before = growing.write('One.\n\nTwo.\n\nThree\nfo');
    const after = growing.write('One.\n\nTwo.\n\nThree\nfour, and more');
    expect(after[0]).toBe(before[0]);
    expect(after[1]).toBe(before[1]);
    expect(after[2]).not.toBe(before[2]);
  });

  it.each([
    'Look at [the docs](https://example.org/d?e=f) now.',
    '![graph](https://x.example/g.png) is it.',
    'A **bold word** and *one* and ~~none~~.',
    'Run `npm ci` or ``a`b``.',
    '| Region | 2.3.7 |\n|---|---:|\n| eu | 47 |\n| us | 51 |',
    'Text\n\n| a | b |\n|---|---|\n| 1 | 2 |',
    '- | a | b |\n  |---|---|\n  | 1 | 2 |',
    '```rust\nfn main() {}\n```\n\nDone.',
    '- [x] done\n- [ ] open',
    '# Title\n\n> quoted\n\n1. one\n2. two',
    'It is $e^{i\\pi}$ or\n\n$$\na + b\n$$\n\nor \\(x\\).',
    'Fish &amp; chips'
  ])('hides incomplete markup: %s', (source) => {
    const growing = new GrowingMarkdown();
    for (let end = 1; end <= source.length; end++) {
      const shown = wordsOf(growing.write(source.slice(0, end)));
      expect(shown, source.slice(0, end)).not.toMatch(/\*\*|\*\w|~~|\]\(|^\||\|-|-:|\[|`|#|&\w|\$|\\|^>|^\d\.?$/m);
    }
  });

  it('does not hold back text that is no markup', () => {
    const shown = (source: string) => wordsOf(new GrowingMarkdown().write(source));
    expect(shown('That costs $5 and')).toBe('That costs $5 and');
    expect(shown('2 * 3 is')).toBe('2 * 3 is');
    expect(shown('a snake_case name')).toBe('a snake_case name');
    expect(shown('see [1] there')).toBe('see [1] there');
    expect(shown(`an *${' word'.repeat(60)}`)).toContain('word');
    expect(shown('a * b\n\nnext')).toContain('next');
    expect(shown('**open\n\nnext')).toContain('next');
  });

  it('never withdraws shown text, except the current line', () => {
    const source = 'One **two** three [four](https://x.example) `five`, $six$.\n\n- a\n- b\n\nEnd.';
    const growing = new GrowingMarkdown();
    let before = '';
    for (let end = 1; end <= source.length; end++) {
      const shown = wordsOf(growing.write(source.slice(0, end)));
      expect(shown.startsWith(before), source.slice(0, end)).toBe(true);
      before = shown;
    }
  });

  it('appends to a long answer without parsing all of it again', () => {
    const source = 'A paragraph with **bold**, `code` and [a link](https://x.example).\n\n'.repeat(1_500);
    const growing = new GrowingMarkdown();
    const first = growing.write(source.slice(0, 50_000))[0];
    for (let end = 50_000; end <= source.length; end += 97) growing.write(source.slice(0, end));
    expect(growing.blocks[0]).toBe(first);
    expect(growing.blocks).toHaveLength(1_500);
  });

  it('starts over when the text is replaced', () => {
    const growing = new GrowingMarkdown();
    growing.write('One.\n\nTwo.');
    expect(growing.write('Other')).toEqual(parse('Other'));
  });
});

describe('plainText', () => {
  it('is one line without markup', () => {
    expect(plainText('## Title\n- **bold** [link](https://x.example)\n```ts\ncode\n```')).toBe('Title bold link code');
    expect(plainText('x'.repeat(200))).toHaveLength(140);
  });
});
