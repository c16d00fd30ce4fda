import fc from '#lib/util/property-testing.ts';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Lexer } from 'marked';
import { expect, it } from 'vitest';
import { lexerOnly } from '../../../../../scripts/slim.mjs';
import { MARKS } from './testing.ts';

const OURS = { gfm: true, breaks: true };

/** Imports `marked` as the build transforms it. Different names return separate modules. */
async function built(name = '') {
  const code = lexerOnly(readFileSync(createRequire(import.meta.url).resolve('marked'), 'utf8'));
  const url = `data:text/javascript;base64,${Buffer.from(code).toString('base64')}#${name}`;
  const kept = (await import(/* @vite-ignore */ url)) as { Lexer: typeof Lexer };
  return { code, kept };
}

it('keeps the lexer of the package alone, and it reads as the whole does', async () => {
  const { code, kept } = await built();
  const text =
    '# A\n\n- [ ] *b* `c` [d][e] ~~f~~\n\n> g\n\n| h |\n| - |\n| i |\n\n[e]: https://j.example "k"\n\n<b>l</b>\n';
  expect(Object.keys(kept).sort()).toEqual(['Lexer', 'Tokenizer']);
  const tokens = new kept.Lexer({ ...OURS }).lex(text);
  expect(JSON.stringify(tokens)).toBe(JSON.stringify(new Lexer({ ...OURS }).lex(text)));
  expect(code).not.toContain('<blockquote>');
  expect(code).not.toContain('options.pedantic');
});

it.each([
  'a\n=\n\nb\n-\nc\n***\n# d #\n#e\n',
  '1. a\n   - b\n\n     c\n2) d\n* e\n+ f\n   1. g\n> h\ni\n> - j\n',
  '~~~js\na\n~~~\n\n    b\n\n```\nc',
  '*a _b **c** d_ e*__f__ ~g~ ~~h~~ `i` \\*j\\* “*k*” l*m*n o_p_q',
  '[a](<b c> "d") ![e](f) [g] [h][g] <https://i.example> https://j.example www.k.example l@m.example\n\n[g]: n\n',
  'a  \nb\nc\\\nd <b>e</b> <!-- f --> &amp; &#65;',
  '| a | b |\n|:-|-:|\n| `c` \\| d | e |\n\n<div>\nf\n</div>\n\ng'
])('reads with breaks as the whole does: %j', async (text) => {
  const { kept } = await built();
  const tokens = new kept.Lexer({ ...OURS }).lex(text);
  expect(JSON.stringify(tokens)).toBe(JSON.stringify(new Lexer({ ...OURS }).lex(text)));
});

it('reads any text as the whole does', async () => {
  const { kept } = await built();
  const text = fc.array(fc.constantFrom(...MARKS), { maxLength: 24, size: 'max' }).map((pieces) => pieces.join(''));
  fc.assert(
    fc.property(text, (text) => {
      const tokens = new kept.Lexer({ ...OURS }).lex(text);
      expect(JSON.stringify(tokens)).toBe(JSON.stringify(new Lexer({ ...OURS }).lex(text)));
    }),
    { numRuns: 1_000 }
  );
});

it('makes a rule when it is first needed', async () => {
  const { kept } = await built('that has read nothing yet');
  const { block, inline } = kept.Lexer.rules;
  const isMade = (rules: object, name: string) => Object.getOwnPropertyDescriptor(rules, name)?.get === undefined;
  expect([isMade(block.gfm, 'table'), isMade(inline.breaks, 'link')]).toEqual([false, false]);
  new kept.Lexer({ ...OURS }).inlineTokens('a [b](https://c.example)');
  expect([isMade(block.gfm, 'table'), isMade(inline.breaks, 'link')]).toEqual([false, true]);
  expect(String(inline.breaks.link)).toBe(String(Lexer.rules.inline.breaks.link));
});

it('refuses a package that is built in another way', () => {
  expect(() => lexerOnly('export{a as Lexer};')).toThrow('built in another way');
});
