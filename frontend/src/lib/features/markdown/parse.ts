/** Parses Markdown to the tree of `tree.ts`, with the grammar of `lexer.ts`. */
import type { MarkedToken, Token, Tokens } from 'marked';
import { isBlank } from './blank-text.ts';
import { decodeEntities } from './parser/entities.ts';
import { lex, lexParagraph, type DetailsToken } from './parser/lexer.ts';
import { CHANNEL, CONSOLE, linkText, safeHref, wordsOf } from './parser/links.ts';
import type { MathToken } from './parser/math.ts';
import { mayHoldMarks, paragraphsOf } from './parser/simple.ts';
import type { Block, Inline, Item, TagName } from './tree.ts';

type KnownToken = MarkedToken | MathToken | DetailsToken;

/** Tags of inline HTML that are rendered. All others are shown as they were written. */
const TAG = /^<(\/?)(sub|sup|kbd|u|s|mark)\s*>$/i;
/** Maximum nesting of inline tags. */
const MAX_TAGS = 4;

/** Parses a text. If the grammar fails on it, its source is shown. */
export function parse(source: string): Block[] {
  try {
    const paragraphs = paragraphsOf(source);
    if (!paragraphs) return toBlocks(lex(source));
    return paragraphs.flatMap((text) => (mayHoldMarks(text) ? toBlocks([lexParagraph(text)]) : asWritten(text)));
  } catch {
    return asWritten(source);
  }
}

/** Parsed messages by source, because rows are created again while scrolling and are parsed before the first paint. */
const read = new Map<string, Block[]>();
const MAX_CACHED = 200;

/** Parses a message, or returns the cached result. */
export function parseOnce(source: string): Block[] {
  let blocks = read.get(source);
  if (!blocks) {
    if (read.size >= MAX_CACHED) read.clear();
    read.set(source, (blocks = parse(source)));
  }
  return blocks;
}

export function asWritten(source: string): Block[] {
  return [{ type: 'paragraph', children: lines(source) }];
}

export function toBlocks(tokens: readonly Token[]): Block[] {
  return tokens.flatMap((token) => {
    const block = toBlock(token as KnownToken);
    if (!block) return [];
    // Markup without content, such as a single `+` or `#`, is shown as it was written.
    const isShown = showsBlock(block) || isBlank(token.raw) || isOpenFence(token);
    return isShown ? block : asWritten(token.raw.trim());
  });
}

/** Whether the token is a code block that has no text yet. */
function isOpenFence({ type, raw }: Token): boolean {
  return type === 'code' && /^[^\n]*\n\s*$/.test(raw);
}

/** Whether anything of a block is visible. */
function showsBlock(block: Block): boolean {
  switch (block.type) {
    case 'paragraph':
    case 'line':
    case 'heading':
      return block.children.some(showsInline);
    case 'code':
      return !isBlank(block.text);
    case 'quote':
      return block.blocks.length > 0;
    case 'list':
      return block.items.some(({ checked, blocks }) => checked !== null || blocks.length > 0);
    case 'table':
      return [block.head, ...block.rows].some((row) => row.some((cell) => cell.some(showsInline)));
    case 'details':
    case 'math':
    case 'rule':
      return true;
  }
}

function showsInline(inline: Inline): boolean {
  if ('children' in inline) return inline.children.some(showsInline);
  return inline.type === 'text' || inline.type === 'code' ? !isBlank(inline.text) : inline.type !== 'break';
}

function toBlock(token: KnownToken): Block | null {
  switch (token.type) {
    case 'paragraph':
      return { type: 'paragraph', children: toInlines(token.tokens ?? []) };
    case 'text':
      return { type: 'line', children: token.tokens ? toInlines(token.tokens) : lines(token.text) };
    case 'heading':
      return { type: 'heading', level: token.depth, children: toInlines(token.tokens ?? []) };
    case 'code':
      return toCode(token.lang?.trim() ?? '', token.text);
    case 'math':
      return { type: 'math', text: token.text };
    case 'blockquote':
      return { type: 'quote', blocks: toBlocks(token.tokens ?? []) };
    case 'list':
      return toList(token);
    case 'table':
      return {
        type: 'table',
        align: token.align,
        head: token.header.map((cell: Tokens.TableCell) => toInlines(cell.tokens)),
        rows: token.rows.map((row: Tokens.TableCell[]) => row.map((cell) => toInlines(cell.tokens)))
      };
    case 'details':
      return {
        type: 'details',
        open: token.open,
        summary: toInlines(token.summary),
        blocks: toBlocks(token.tokens)
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

function toCode(info: string, text: string): Block {
  const [language = ''] = info.split(/\s/);
  const code = { type: 'code' as const, language: language || null, text };
  return info === language ? code : { ...code, info };
}

/** Converts a list. Its numbers are shown as they were written. If all are equal, the items are numbered in sequence from that number. */
function toList(token: Tokens.List): Block {
  if (!token.ordered) return { type: 'list', start: null, items: token.items.map((item) => toItem(item, null)) };
  const start = Number(token.start);
  const marks = token.items.map(({ raw }) => /^\s*(\d+)([.)])/.exec(raw) ?? ['', `${start}`, '.']);
  const isCounted = marks.every(([, number]) => Number(number) === start);
  const items = token.items.map((item, at) => {
    const [, number, sign] = marks[at] ?? [];
    return toItem(item, `${isCounted && at > 0 ? start + at : number}${sign}`);
  });
  return { type: 'list', start, items };
}

function toItem(item: Tokens.ListItem, mark: string | null): Item {
  return { mark, checked: item.task ? item.checked === true : null, blocks: toBlocks(item.tokens) };
}

function toInlines(tokens: readonly Token[]): Inline[] {
  let inlines: Inline[] = [];
  let last: Inline | undefined;
  const open: { name: TagName; raw: string; before: Inline[] }[] = [];
  /** Shows the innermost open tags as they were written, because they aren't closed. */
  const unwrap = (left: number) => {
    for (const { raw, before } of open.splice(left).toReversed()) inlines = [...before, text(raw), ...inlines];
  };
  for (const token of tokens) {
    // The box of a task is part of its item.
    if (token.type === 'checkbox') continue;
    const [, slash, written = ''] = (token.type === 'html' && TAG.exec(token.raw)) || [];
    const name = written.toLowerCase() as TagName;
    const opener = slash ? open.findLastIndex((tag) => tag.name === name) : -1;
    if (name && !slash && open.length < MAX_TAGS) {
      open.push({ name, raw: token.raw, before: inlines });
      inlines = [];
      last = undefined;
    } else if (opener !== -1) {
      unwrap(opener + 1);
      inlines = [...(open.pop()?.before ?? []), { type: 'tag', name, children: inlines }];
      last = undefined;
    } else {
      const inline = toInline(token as KnownToken);
      // A name with escaped characters must be one text, so that mentions of it are found.
      if (last?.type === 'text' && inline.type === 'text') last.text += inline.text;
      else inlines.push((last = inline));
      // An escaped `@`, `#` or `:` starts no mention, so the text after it stays separate.
      if (/^\\[@#:]/.test(token.raw)) last = undefined;
    }
  }
  unwrap(0);
  return inlines;
}

function toInline(token: KnownToken): Inline {
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
        : toLink(
            decodeEntities(token.href),
            token.title ? decodeEntities(token.title) : null,
            toInlines(token.tokens ?? []),
            token.raw
          );
    case 'image':
      // Loading an image from another site would reveal the reader's address, so a link is shown instead.
      return toLink(
        decodeEntities(token.href),
        token.title,
        [text(decodeEntities(token.text) || token.href)],
        token.raw
      );
    case 'text':
      return text(decodeEntities(token.text));
    case 'escape':
      return text(token.text);
    case 'html':
      return /^<br\s*\/?>$/i.test(token.raw) ? { type: 'break' } : text(token.raw);
    default:
      return text(token.raw);
  }
}

function toLink(href: string, title: string | null, children: Inline[], raw: string): Inline {
  const id = CHANNEL.exec(href)?.[1];
  if (id) return { type: 'channel', id, text: wordsOf(children) };
  if (CONSOLE.test(href)) return { type: 'link', href, title, children };
  const safe = safeHref(href);
  if (!safe) return text(raw);
  // A link without visible text shows its URL.
  const words = children.some(showsInline) ? children : [text(href)];
  return { type: 'link', href: safe, title, children: linkText(safe, words) };
}

/** Converts a URL that was written without markup. */
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
