/** Markdown to the tree of `tree.ts`. The grammar is that of `lexer.ts`. */
import type { MarkedToken, Token, Tokens } from 'marked';
import { lex } from './lexer.ts';
import { CHANNEL, labelled, safeHref, wordsOf } from './links.ts';
import type { MathToken } from './math.ts';
import type { Block, Inline, Item } from './tree.ts';

type Known = MarkedToken | MathToken;

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' };

/** A text that the grammar fails on is shown as it was written. */
export function parse(source: string): Block[] {
  try {
    return toBlocks(lex(source));
  } catch {
    return asWritten(source);
  }
}

export function asWritten(source: string): Block[] {
  return [{ type: 'paragraph', children: lines(source) }];
}

export function toBlocks(tokens: readonly Token[]): Block[] {
  return tokens.flatMap((token) => toBlock(token as Known) ?? []);
}

function toBlock(token: Known): Block | null {
  switch (token.type) {
    case 'paragraph':
      return { type: 'paragraph', children: toInlines(token.tokens ?? []) };
    case 'text':
      return { type: 'line', children: token.tokens ? toInlines(token.tokens) : lines(token.text) };
    case 'heading':
      return { type: 'heading', level: token.depth, children: toInlines(token.tokens ?? []) };
    case 'code':
      return { type: 'code', language: token.lang?.trim().split(/\s+/)[0] || null, text: token.text };
    case 'math':
      return { type: 'math', text: token.text };
    case 'blockquote':
      return { type: 'quote', blocks: toBlocks(token.tokens ?? []) };
    case 'list':
      return { type: 'list', start: token.ordered ? Number(token.start) : null, items: token.items.map(toItem) };
    case 'table':
      return {
        type: 'table',
        align: token.align,
        head: token.header.map((cell: Tokens.TableCell) => toInlines(cell.tokens)),
        rows: token.rows.map((row: Tokens.TableCell[]) => row.map((cell) => toInlines(cell.tokens)))
      };
    case 'hr':
      return { type: 'rule' };
    case 'html':
      return { type: 'paragraph', children: lines(token.text.trimEnd()) };
    case 'space':
    case 'def':
    case 'checkbox':
      return null;
    default:
      return { type: 'paragraph', children: lines(token.raw) };
  }
}

function toItem(item: Tokens.ListItem): Item {
  return { checked: item.task ? item.checked === true : null, blocks: toBlocks(item.tokens) };
}

function toInlines(tokens: readonly Token[]): Inline[] {
  return tokens.map((token) => toInline(token as Known));
}

function toInline(token: Known): Inline {
  switch (token.type) {
    case 'strong':
    case 'em':
    case 'del':
      return { type: token.type, children: toInlines(token.tokens ?? []) };
    case 'codespan':
      return { type: 'code', text: token.text };
    case 'math':
      return { type: 'math', text: token.text, display: token.display };
    case 'br':
      return { type: 'break' };
    case 'link':
      return token.autolink && token.raw === token.text
        ? toAddress(token.href, token.raw)
        : toLink(token.href, token.title ?? null, toInlines(token.tokens ?? []), token.raw);
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
  const id = CHANNEL.exec(href)?.[1];
  if (id) return { type: 'channel', id, text: wordsOf(children) };
  const safe = safeHref(href);
  return safe ? { type: 'link', href: safe, title, children: labelled(safe, children) } : text(raw);
}

/** An address that stands in the text by itself: what it says is where it leads. */
function toAddress(href: string, raw: string): Inline {
  const safe = safeHref(href);
  return safe ? { type: 'link', href: safe, title: null, children: [text(raw)] } : text(raw);
}

function text(value: string): Inline {
  return { type: 'text', text: value };
}

function lines(value: string): Inline[] {
  return value.split('\n').flatMap((line, at) => (at === 0 ? [text(line)] : [{ type: 'break' as const }, text(line)]));
}

function decodeEntities(value: string): string {
  return value.replace(/&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([a-z]{2,5}));/g, (whole, decimal, hex, name) => {
    if (name) return ENTITIES[name] ?? whole;
    const point = decimal ? Number(decimal) : parseInt(hex, 16);
    return point > 0 && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff) ? String.fromCodePoint(point) : whole;
  });
}
