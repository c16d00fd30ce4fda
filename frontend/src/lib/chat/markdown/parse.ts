/** Markdown to the tree of `tree.ts`. The grammar (CommonMark with GitHub's additions) is `marked`'s. */
import { Lexer, type MarkedToken, type Token, type Tokens } from 'marked';
import type { Block, Inline, Item } from './tree.ts';

const OPTIONS = { gfm: true, breaks: true };
const SAFE_SCHEMES = new Set(['http:', 'https:', 'mailto:', 'tel:']);
const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' };

export function parse(source: string): Block[] {
  return toBlocks(lex(source));
}

export function lex(source: string): Token[] {
  return new Lexer(OPTIONS).lex(source);
}

export function toBlocks(tokens: readonly Token[]): Block[] {
  return tokens.flatMap((token) => toBlock(token as MarkedToken) ?? []);
}

/** Only an address that can't run anything is a link; anything else stays the text that it was. */
export function safeHref(href: string): string | null {
  try {
    const url = new URL(href);
    return SAFE_SCHEMES.has(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

/** What a reader hears or sees in one line: a quote, a notification. */
export function plainText(source: string, limit = 140): string {
  const text = source
    .slice(0, limit * 4)
    .replace(/```[^\n]*\n?/g, ' ')
    .replace(/!?\[([^\]\n]*)\]\([^)\s]*\)/g, '$1')
    .replace(/^\s{0,3}(#{1,6}\s+|>\s?|[-*+]\s+(\[[ xX]\]\s+)?)/gm, '')
    .replace(/(\*\*|__|~~|`)/g, '')
    .replace(/\s+/g, ' ')
    .trim();
  return text.length > limit ? `${text.slice(0, limit - 1).trimEnd()}…` : text;
}

function toBlock(token: MarkedToken): Block | null {
  switch (token.type) {
    case 'paragraph':
      return { type: 'paragraph', children: toInlines(token.tokens) };
    case 'text':
      return { type: 'line', children: token.tokens ? toInlines(token.tokens) : [text(token.text)] };
    case 'heading':
      return { type: 'heading', level: token.depth, children: toInlines(token.tokens) };
    case 'code':
      return { type: 'code', language: token.lang?.trim().split(/\s+/)[0] || null, text: token.text };
    case 'blockquote':
      return { type: 'quote', blocks: toBlocks(token.tokens) };
    case 'list':
      return { type: 'list', start: token.ordered ? Number(token.start) || 1 : null, items: token.items.map(toItem) };
    case 'table':
      return {
        type: 'table',
        align: token.align,
        head: token.header.map((cell) => toInlines(cell.tokens)),
        rows: token.rows.map((row) => row.map((cell) => toInlines(cell.tokens)))
      };
    case 'hr':
      return { type: 'rule' };
    case 'html':
      return { type: 'paragraph', children: [text(token.text.trimEnd())] };
    case 'space':
    case 'def':
    case 'checkbox':
      return null;
    default:
      return { type: 'paragraph', children: [text(token.raw)] };
  }
}

function toItem(item: Tokens.ListItem): Item {
  return { checked: item.task ? item.checked === true : null, blocks: toBlocks(item.tokens) };
}

function toInlines(tokens: readonly Token[]): Inline[] {
  return tokens.map((token) => toInline(token as MarkedToken));
}

function toInline(token: MarkedToken): Inline {
  switch (token.type) {
    case 'strong':
    case 'em':
    case 'del':
      return { type: token.type, children: toInlines(token.tokens) };
    case 'codespan':
      return { type: 'code', text: token.text };
    case 'br':
      return { type: 'break' };
    case 'link':
      return toLink(token.href, token.title ?? null, toInlines(token.tokens), token.raw);
    case 'image':
      // A picture from somewhere else would tell that somewhere who reads this: it is a link.
      return toLink(token.href, token.title ?? null, [text(token.text || token.href)], token.raw);
    case 'text':
      return text(decodeEntities(token.text));
    case 'escape':
      return text(token.text);
    default:
      return text(token.raw);
  }
}

function toLink(href: string, title: string | null, children: Inline[], raw: string): Inline {
  const safe = safeHref(href);
  return safe ? { type: 'link', href: safe, title, children } : text(raw);
}

function text(value: string): Inline {
  return { type: 'text', text: value };
}

function decodeEntities(value: string): string {
  return value.replace(/&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([a-z]{2,5}));/g, (whole, decimal, hex, name) => {
    if (name) return ENTITIES[name] ?? whole;
    const point = decimal ? Number(decimal) : parseInt(hex, 16);
    return point > 0 && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff) ? String.fromCodePoint(point) : whole;
  });
}
