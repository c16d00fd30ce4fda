/** Grammar of formulas: inline as `$…$` and `\(…\)`, as blocks as `$$…$$` and `\[…\]`. */
import type { MarkedOptions, Token, TokenizerThis, Tokens } from 'marked';
import { lazily } from '#lib/util/lazy.ts';

export interface MathToken extends Tokens.Generic {
  type: 'math';
  raw: string;
  text: string;
  display: boolean;
}

/** Length in characters above which a formula is shown as its source. */
const MAX_FORMULA = 2_000;
/** Characters at which `marked` stops reading plain text. */
const SPECIAL = /[$\\<![\]`*~_\n]/;
/** Formula between dollar signs. To exclude prices, there may be no spaces directly inside them and no letter or digit after them. */
const inDollars = lazily(
  () => new RegExp(`^\\$(?![\\s$])((?:\\\\[^\\n]|[^\\\\$\\n]){1,${MAX_FORMULA}}?)(?<!\\s)\\$(?![\\p{L}\\p{N}$])`, 'u')
);
/** Text between two prices, as in “$5 or 6$”: numbers followed by words. */
const PRICE = /^[\d.,]+\s+[^\\^_=+*/<>{}|]*$/;

export const MATH: NonNullable<MarkedOptions['extensions']> = {
  block: [block],
  inline: [span],
  startBlock: [startOfBlock],
  startInline: [startOfSpan],
  childTokens: {},
  renderers: {}
};

function block(this: TokenizerThis, src: string): MathToken | undefined {
  const indent = /^ {0,3}/.exec(src)?.[0] ?? '';
  const token = display(src.slice(indent.length));
  if (!token) return undefined;
  const raw = indent + token.raw;
  const rest = /^[ \t]*(?:\n+|$)/.exec(src.slice(raw.length))?.[0];
  // If text follows in the same line, the formula is inline.
  return rest === undefined ? undefined : { ...token, raw: raw + rest };
}

function span(this: TokenizerThis, src: string, tokens: Token[]): MathToken | undefined {
  if (src.startsWith('$') && /[\p{L}\p{N}$]/u.test(tokens.at(-1)?.raw.at(-1) ?? '')) return undefined;
  return display(src) ?? dollars(src) ?? between(src, '\\(', '\\)', false);
}

function display(src: string): MathToken | undefined {
  return between(src, '$$', '$$', true) ?? between(src, '\\[', '\\]', true);
}

function dollars(src: string): MathToken | undefined {
  const [raw, text] = inDollars().exec(src) ?? [];
  return raw && text && !PRICE.test(text) ? { type: 'math', raw, text, display: false } : undefined;
}

function between(src: string, open: string, close: string, display: boolean): MathToken | undefined {
  if (!src.startsWith(open)) return undefined;
  const within = src.slice(open.length, open.length + MAX_FORMULA + close.length);
  const end = within.indexOf(close);
  const text = within.slice(0, Math.max(end, 0));
  if (text.trim() === '' || /\n[ \t]*\n/.test(text)) return undefined;
  return { type: 'math', raw: open + text + close, text: text.trim(), display };
}

/** Index in a paragraph at which a block formula starts; -1 if there is none. */
function startOfBlock(this: TokenizerThis, src: string): number {
  const end = src.indexOf('\n\n');
  return (end === -1 ? src : src.slice(0, end)).search(/(?<=\n {0,3})(?:\$\$|\\\[)/);
}

function startOfSpan(this: TokenizerThis, src: string): number {
  const at = src.search(SPECIAL);
  return src[at] === '$' || src[at] === '\\' ? at : -1;
}
