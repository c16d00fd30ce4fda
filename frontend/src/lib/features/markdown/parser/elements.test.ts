/** Elements that are written as HTML. */
import { describe, expect, it } from 'vitest';
import { toHtml } from '../html.ts';
import { parse } from '../parse.ts';
import { plainText } from '../plain.ts';
import { GrowingMarkdown } from '../streaming.ts';

const streamed = (source: string) => {
  const growing = new GrowingMarkdown();
  return Array.from({ length: source.length }, (_, at) => growing.write(source.slice(0, at + 1)));
};

describe('inline elements', () => {
  it.each([
    ['H<sub>2</sub>O', '<p>H<sub>2</sub>O</p>'],
    ['x<SUP>n</SUP>', '<p>x<sup>n</sup></p>'],
    ['<kbd>Ctrl</kbd>+<kbd>C</kbd>', '<p><kbd>Ctrl</kbd>+<kbd>C</kbd></p>'],
    ['<u>a **b**</u>', '<p><u>a <strong>b</strong></u></p>'],
    ['**a <mark>b</mark>**', '<p><strong>a <mark>b</mark></strong></p>'],
    ['<s>old</s> new', '<p><s>old</s> new</p>'],
    ['<u>a <sub>b</sub></u>', '<p><u>a <sub>b</sub></u></p>'],
    ['- x<sup>2</sup>', '<ul><li>x<sup>2</sup></li></ul>'],
    ['a<br>b<BR />c', '<p>a<br>b<br>c</p>'],
    ['<br>a', '<p><br>a</p>'],
    ['<u>\na\n</u>', '<p><u><br>a<br></u></p>']
  ])('renders %j', (source, html) => {
    expect(toHtml(source)).toBe(html);
  });

  it.each([
    'H<sub>2 and no end',
    'a</sub> b',
    '<u>a <b>b</b>',
    '<mark onclick="x()">a</mark>',
    '<b>a</b>',
    '<font color="red">a</font>',
    '<a href="https://a.example">a</a>',
    '<iframe></iframe>',
    'a < u >b< /u >',
    '<sub></sub>'
  ])('leaves %s as text', (source) => {
    expect(JSON.stringify(parse(source))).not.toContain('"tag"');
    expect(plainText(source)).toBe(source);
  });

  it('crosses no other markup', () => {
    expect(plainText('<u>a **b</u> c**')).toBe('<u>a b</u> c');
    expect(plainText('<u>a <sub>b</u>')).toBe('a <sub>b');
  });

  it('are text in code', () => {
    expect(toHtml('`<sub>a</sub>`')).toBe('<p><code>&lt;sub&gt;a&lt;/sub&gt;</code></p>');
    expect(parse('```\n<kbd>a</kbd>\n```')).toEqual([{ type: 'code', language: null, text: '<kbd>a</kbd>' }]);
  });

  it('limits their nesting', () => {
    const deep = JSON.stringify(parse(`${'<u>'.repeat(40)}a${'</u>'.repeat(40)}`));
    expect(deep.match(/"tag"/g)).toHaveLength(4);
  });

  it('are held back while they are streamed', () => {
    for (const blocks of streamed('Water is H<sub>2</sub>O.<br>Yes'))
      expect(JSON.stringify(blocks)).not.toMatch(/[<>]/);
  });
});

describe('sections', () => {
  const SOURCE = '<details>\n<summary>Log **of** today</summary>\n\n- a\n- b\n\n</details>\n\nAfter';

  it('have a summary and blocks', () => {
    expect(parse(SOURCE)).toMatchObject([
      { type: 'details', open: false, summary: [{ text: 'Log ' }, { type: 'strong' }, { text: ' today' }] },
      { type: 'paragraph', children: [{ text: 'After' }] }
    ]);
    expect(parse(SOURCE)[0]).toMatchObject({ blocks: [{ type: 'list' }] });
    expect(plainText(SOURCE)).toBe('Log of today a b After');
    expect(toHtml(SOURCE)).toBe('<p>Log <strong>of</strong> today</p><ul><li>a</li><li>b</li></ul><p>After</p>');
  });

  it('may be written in one line, open, or in each other', () => {
    expect(parse('<details open><summary>a</summary>b</details>')).toMatchObject([
      { type: 'details', open: true, blocks: [{ type: 'paragraph', children: [{ text: 'b' }] }] }
    ]);
    const inner = '<details><summary>in</summary>\n\nx\n\n</details>';
    expect(parse(`<details><summary>out</summary>\n\n${inner}\n\ny\n\n</details>\nz`)).toMatchObject([
      { type: 'details', blocks: [{ type: 'details' }, { children: [{ text: 'y' }] }] },
      { type: 'paragraph', children: [{ text: 'z' }] }
    ]);
  });

  it('do not end in code', () => {
    const source = '<details><summary>a</summary>\n\n```html\n</details>\n```\n\n`</details>` b\n\n</details>';
    expect(parse(source)).toMatchObject([{ type: 'details', blocks: [{ type: 'code' }, { type: 'paragraph' }] }]);
  });

  it('are text without a summary and in code', () => {
    expect(JSON.stringify(parse('<details>\na\n</details>'))).not.toContain('"details"');
    expect(parse(`\`\`\`\n${SOURCE}\n\`\`\``)).toMatchObject([{ type: 'code' }]);
  });

  it('are expanded until they are closed', () => {
    const last = streamed('<details><summary>a</summary>\n\nb\n\n</details>\n\nc').at(-1);
    expect(last).toMatchObject([{ type: 'details', open: false }, { type: 'paragraph' }]);
    expect(parse('<details><summary>a</summary>\n\nb')).toMatchObject([{ type: 'details', open: true }]);
  });
});
