/**
 * Inputs that make chat clients fail: deeply nested, wide, long, bidirectional, invisible or truncated ones. The parser and the page must handle each
 * of them.
 */
export interface Hostile {
  readonly name: string;
  readonly text: string;
}

const many = (count: number, piece: string) => piece.repeat(count);

export const HOSTILE: readonly Hostile[] = [
  { name: '200 quotes in each other', text: `${many(200, '>')} deep` },
  { name: '5,000 quotes', text: many(5_000, '>') },
  { name: 'quotes with spaces', text: `${many(1_200, '> ')}deep` },
  { name: 'strong in strong', text: `${many(192, '**')}a${many(192, '**')}` },
  { name: 'emphasis in emphasis', text: `${many(800, '*a ')}${many(800, ' b*')}` },
  { name: 'mixed emphasis', text: `${many(300, '*a _b ~~c **d ')}` },
  { name: 'struck out', text: `${many(500, '~~a ')}${many(500, ' a~~')}` },
  { name: '1,600 numbered lists in each other', text: many(1_600, '1. ') },
  { name: 'bullets in each other', text: many(2_400, '- ') },
  {
    name: 'lists by indentation',
    text: Array.from({ length: 90 }, (_, depth) => `${' '.repeat(depth)}- a`).join('\n')
  },
  { name: 'lists and quotes in turn', text: `${many(800, '> - ')}deep` },
  { name: 'many empty items', text: many(2_400, '-\n') },
  { name: 'links in links', text: `${many(400, '[')}a${many(400, '](https://x.example)')}` },
  { name: 'open brackets', text: many(5_000, '[') },
  { name: 'open links', text: many(1_600, '[a](') },
  { name: 'pictures in links', text: `${many(600, '[![')}a${many(600, '](b)')}` },
  { name: 'references', text: `${many(400, '[a][b] ')}\n\n[b]: https://x.example "${many(500, 'a')}"` },
  { name: 'open angles', text: many(5_000, '<') },
  { name: 'open tags', text: many(800, '<a b="') },
  { name: 'open comments', text: many(1_200, '<!--') },
  { name: 'open elements', text: many(1_000, '<sub>') },
  { name: 'elements in each other', text: `${many(450, '<u>')}a${many(450, '</u>')}` },
  { name: 'sections in each other', text: many(160, '<details><summary>a</summary>\n\n') },
  { name: 'backticks of every length', text: Array.from({ length: 98 }, (_, count) => '`'.repeat(count)).join(' ') },
  { name: 'open fences', text: many(1_200, '```\n') },
  { name: 'a fence in a fence', text: '````\n```\ncode\n```\n````' },
  { name: 'markdown to be coloured', text: `\`\`\`markdown\n${many(1_200, '[a](')}\n\`\`\`` },
  { name: 'code to be coloured', text: `\`\`\`javascript\n${many(1_600, '`${')}\n\`\`\`` },
  { name: 'a table of 700,000 cells', text: `${many(800, '|a')}\n${many(800, '|-')}\n${many(900, '|\n')}` },
  { name: 'a wide table', text: `${many(600, '|a')}|\n${many(600, '|-')}|\n${many(600, '|b')}|` },
  { name: 'a table of signs', text: `| a |\n|---|\n${many(900, '| `|` |\n')}` },
  { name: 'headings', text: many(1_600, '# a') },
  { name: 'rules', text: many(1_200, '---\n') },
  { name: 'underlined headings', text: many(1_200, 'a\n=\n') },
  { name: 'escapes', text: many(2_500, '\\*') },
  { name: 'entities', text: `${many(800, '&#0;')}${many(400, '&lt;')}` },
  { name: 'text turned around', text: '\u202egnp.exe\u202c \u2066\u2067\u202dright\u202e left' },
  { name: 'turned and never turned back', text: many(1_200, '\u202ea\u2067b') },
  { name: 'signs without width', text: many(1_000, 'a\u200b\u200d\ufeff\u2060') },
  { name: 'only signs without width', text: many(2_500, '\u200d\u2060') },
  { name: 'piled accents', text: many(20, `Z${many(200, '\u0301\u0323')}`) },
  { name: 'one word', text: many(5_000, 'w') },
  { name: 'one word of a wide script', text: many(5_000, '﷽') },
  { name: 'families', text: many(400, '👨‍👩‍👧‍👦') },
  { name: 'flags', text: many(1_200, '🇻🇳') },
  { name: 'half of a pair', text: `${many(1_200, '\ud83d ')}\udc4d` },
  { name: 'line after line', text: `a${many(4_900, '\n')}b` },
  { name: 'mentions', text: many(1_600, '@a ') },
  { name: 'addresses', text: many(220, 'https://a.example/?b=c&d ') },
  { name: 'mail addresses', text: many(500, 'a@b.example ') },
  { name: 'dots and signs like an address', text: `www.${many(2_000, 'a.')}` },
  { name: 'open formulas', text: many(2_500, '\\[') },
  { name: 'formulas', text: many(800, '$a$ ') },
  { name: 'a deep formula', text: `$${many(1_900, '{')}$` },
  {
    name: 'a formula that grows',
    text: `$$\\def\\a{\\b\\b}\\def\\b{\\c\\c}\\def\\c{\\d\\d}\\def\\d{${many(90, 'x')}}${many(60, '\\a')}$$`
  },
  { name: 'a formula over its neighbours', text: '$$\\rule{900em}{900em}\\kern-900em\\raisebox{-900em}{gone}$$' },
  { name: 'markup', text: '<script>alert(1)</script><img src=x onerror=alert(1)><svg onload=alert(1)>' },
  { name: 'addresses that run', text: '[a](javascript:alert(1)) [b](data:text/html,x) <javascript:alert(1)>' }
];
