import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GrowingMarkdown } from './growing.ts';
import { parse, plainText, safeHref } from './parse.ts';
import type { Block, Inline } from './tree.ts';

const first = (source: string) => parse(source)[0] as Block;
const inlines = (source: string) => (first(source) as { children: Inline[] }).children;

describe('parse', () => {
  it('knows emphasis, code, breaks and entities', () => {
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

  it('names the language of a code block, closed or not', () => {
    expect(first('```rust\nfn main() {')).toEqual({ type: 'code', language: 'rust', text: 'fn main() {' });
    expect(first('```\nplain\n```')).toEqual({ type: 'code', language: null, text: 'plain' });
  });

  it('knows tables with their alignment', () => {
    expect(first('| a | b |\n|:-|-:|\n| 1 | 2 |')).toMatchObject({ type: 'table', align: ['left', 'right'] });
  });

  it('knows task lists', () => {
    const list = first('- [x] done\n- [ ] open\n- plain');
    expect(list.type === 'list' && list.items.map((item) => item.checked)).toEqual([true, false, null]);
  });

  it('keeps the first number of a list', () => {
    expect(first('3. three\n4. four')).toMatchObject({ type: 'list', start: 3 });
    expect(first('- dot')).toMatchObject({ type: 'list', start: null });
  });

  it('shows HTML as the text that it is', () => {
    expect(parse('<img src=x onerror=alert(1)>\n\n<b>hi</b>')).toEqual([
      { type: 'paragraph', children: [{ type: 'text', text: '<img src=x onerror=alert(1)>' }] },
      {
        type: 'paragraph',
        children: [
          { type: 'text', text: '<b>' },
          { type: 'text', text: 'hi' },
          { type: 'text', text: '</b>' }
        ]
      }
    ]);
  });

  it('makes a picture a link, so that nobody learns who read it', () => {
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
  ])('never carry %s', (href) => {
    expect(safeHref(href)).toBeNull();
    expect(JSON.stringify(parse(`[x](${href}) <${href}>`))).not.toContain('"link"');
  });

  it('carry the web, mail and telephones', () => {
    expect(inlines('https://a.example www.b.example me@c.example').filter((one) => one.type === 'link')).toMatchObject([
      { href: 'https://a.example/' },
      { href: 'http://www.b.example/' },
      { href: 'mailto:me@c.example' }
    ]);
  });

  it('are safe whatever is written', () => {
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

describe('text that is still being written', () => {
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

  it('ends as if it had been parsed at once', () => {
    fc.assert(
      fc.property(document, fc.array(fc.nat({ max: 9 }), { minLength: 1 }), (source, cuts) => {
        const growing = new GrowingMarkdown();
        for (let at = 0, turn = 0; at < source.length; turn++) {
          at += 1 + (cuts[turn % cuts.length] ?? 0);
          growing.write(source.slice(0, at));
        }
        expect(growing.write(source)).toEqual(parse(source));
      }),
      { numRuns: 500 }
    );
  });

  it('leaves the blocks alone that have ended', () => {
    const growing = new GrowingMarkdown();
    const before = growing.write('One.\n\nTwo.\n\nThree\nfo');
    const after = growing.write('One.\n\nTwo.\n\nThree\nfour, and more');
    expect(after[0]).toBe(before[0]);
    expect(after[1]).toBe(before[1]);
    expect(after[2]).not.toBe(before[2]);
  });

  it('starts over when the text is another one', () => {
    const growing = new GrowingMarkdown();
    growing.write('One.\n\nTwo.');
    expect(growing.write('Other')).toEqual(parse('Other'));
  });
});

describe('plainText', () => {
  it('is one line without signs', () => {
    expect(plainText('## Title\n- **bold** [link](https://x.example)\n```ts\ncode\n```')).toBe('Title bold link code');
    expect(plainText('x'.repeat(200))).toHaveLength(140);
  });
});
