/**
 * Grammar of messages: CommonMark with GitHub's extensions, as `marked` parses it, and formulas. Nesting and table size are limited, because `marked`
 * and the renderer are recursive, so that a short text could exhaust them.
 */
import { Lexer, Tokenizer, type MarkedOptions, type Token, type Tokens } from 'marked';
import { addressAt } from './address.ts';
import { isFace, isProduct, isRange, maskBeside, opensBeside } from './emphasis.ts';
import { CHANNEL, safeHref } from './links.ts';
import { MATH } from './math.ts';

/** Maximum nesting of blocks and of inline markup. Text that is nested deeper is shown without markup. */
export const MAX_DEPTH = 16;
/** Maximum number of cells of a table. Each line has as many cells as the head, so a short text could contain very many. */
export const MAX_TABLE_CELLS = 3_000;

/** Date that looks like nested lists, such as the Korean `2026. 1. 5.` */
const DATE = /^ {0,3}\d{1,9}[.)] +\d{1,9}[.)](?:\s|$)/;
/** Comparison or emoticon that looks like a quote: `>= 5`, `>90%`, `>_<`. */
const MORE = /^ {0,3}>(?:=|[$€£¥]?\d(?!\d*[.)]\s)|[._~]{1,2}[<>]|[:;]-?[()DPO3/\\|])/;
/** Backslashes that escape nothing: those of a shrug, and those of a UNC path. */
const SHRUG = /^\\{1,3}_\(ツ\)\\?_\/¯/;
const SHARE = /^\\\\[\w.$-]+(?=\\[\w$])/;
/** Drive at the start of a Windows path, in which no character is markup. */
const DRIVE = /(?<![\p{L}\p{N}])[a-z]:$/iu;
const PATH = /^\\[\w.$~*?%-][^\s`"<>|]*/;

/** Start of a collapsible section. Without a summary, the tag is text. */
const DETAILS = /^ {0,3}<details(\s+open(?:="")?)?\s*>\s*<summary>([\s\S]{0,500}?)<\/summary>[^\S\n]*\n?/i;
/** Tags of nested sections, and code, in which tags are text. */
const IN_DETAILS = /(?:^|\n)[ \t]*(`{3,}|~{3,})[^\n]*\n[\s\S]*?(?:\n[ \t]*\1|$)|`[^`\n]*`|<(\/?)details\b[^>]*>/gi;
/** Start of a line with an inline tag. The line is a paragraph. */
const INLINE_TAG = /^ {0,3}<\/?(?:br|su[bp]|kbd|[us]|mark)\s*\/?>/i;

/** Section that can be collapsed. */
export interface DetailsToken {
  type: 'details';
  raw: string;
  open: boolean;
  summary: Token[];
  tokens: Token[];
}

const HOOKS = { emStrongMask: maskBeside } as NonNullable<MarkedOptions['hooks']>;

const optionsWith = (tokenizer: Tokenizer): MarkedOptions => ({ gfm: true, breaks: true, tokenizer, hooks: HOOKS });

export function lex(source: string): Token[] {
  const tokenizer = new BoundedTokenizer();
  const options = optionsWith(tokenizer);
  if (/\$|\\[([]/.test(source)) options.extensions = MATH;
  const tokens = new Lexer(options).lex(source);
  showUnused(tokens, new Set(tokenizer.used), (text) => new Lexer(options).inlineTokens(text));
  return tokens;
}

/** Parses a single paragraph without formulas. This is faster, because no rules for blocks are needed. */
export function lexParagraph(text: string): Tokens.Paragraph {
  const tokens = new Lexer(optionsWith(new BoundedTokenizer())).inlineTokens(text);
  return { type: 'paragraph', raw: text, text, tokens };
}

/**
 * Shows link definitions that no link uses as they were written, because their address would be invisible otherwise. The same applies to a second
 * definition with the same label.
 */
function showUnused(tokens: readonly Token[], used: Set<string>, read: (text: string) => Token[]): void {
  for (const token of tokens) {
    if (token.type === 'def') {
      if (used.delete((token as Tokens.Def).tag)) continue;
      Object.assign(token, { type: 'paragraph', text: token.raw, tokens: read(token.raw.trimEnd()) });
    } else if (token.type === 'list') showUnused((token as Tokens.List).items, used, read);
    else if (token.type === 'blockquote' || token.type === 'list_item' || token.type === 'details')
      showUnused(token.tokens ?? [], used, read);
  }
}

class BoundedTokenizer extends Tokenizer {
  /** Labels of the link definitions that links use. */
  readonly used = new Set<string>();
  #blocks = 0;
  #inlines = 0;

  override blockquote(src: string): Tokens.Blockquote | undefined {
    return MORE.test(src) ? undefined : this.#inBlock(() => super.blockquote(src));
  }

  override list(src: string): Tokens.List | undefined {
    return DATE.test(src) ? undefined : this.#inBlock(() => super.list(src));
  }

  override html(src: string): Tokens.HTML | undefined {
    if (INLINE_TAG.test(src)) return undefined;
    return (this.#inBlock(() => this.#details(src)) as Tokens.Generic as Tokens.HTML | undefined) ?? super.html(src);
  }

  /** Parses a collapsible section. One that isn't closed yet contains the rest of the text and is shown expanded. */
  #details(src: string): DetailsToken | undefined {
    const [head, isOpen, summary = ''] = DETAILS.exec(src) ?? [];
    if (head === undefined) return undefined;
    const rest = src.slice(head.length);
    let depth = 1;
    const end = [...rest.matchAll(IN_DETAILS)].find(
      ([whole, , slash]) => whole.startsWith('<') && (depth += slash ? -1 : 1) === 0
    );
    const body = rest.slice(0, end?.index);
    const { state } = this.lexer;
    const { top } = state;
    state.top = true;
    const tokens = this.lexer.blockTokens(body, []);
    state.top = top;
    const raw = head + body + (end?.[0] ?? '');
    return {
      type: 'details',
      raw,
      open: !end || isOpen !== undefined,
      summary: this.lexer.inline(summary.trim()),
      tokens
    };
  }

  /** Recognises a heading only if its underline has at least three characters: the `--` of a signature or the start of a list is text. */
  override lheading(src: string): Tokens.Heading | undefined {
    const heading = super.lheading(src);
    return heading && /(?:===|---)\s*$/.test(heading.raw) ? heading : undefined;
  }

  override table(src: string): Tokens.Table | undefined {
    const table = isLargeTable(src) ? undefined : super.table(src);
    if (table) this.#countCells(table);
    return table;
  }

  /** Adds the cells that a line has beyond those of the head. GitHub drops them, but here no text may disappear. */
  #countCells({ raw, header, rows }: Tokens.Table): void {
    const lines = raw.split('\n').slice(2);
    for (const [at, row] of rows.entries()) {
      for (const text of cellsOf(lines[at] ?? '').slice(header.length))
        row.push({ text, tokens: this.lexer.inline(text), header: false, align: null });
    }
  }

  override emStrong(src: string, masked: string, before?: string): Tokens.Em | Tokens.Strong | undefined {
    const token = this.#inInline(() => super.emStrong(src, masked, opensBeside(src, masked) ? '' : before));
    if (!token) return undefined;
    const { raw } = token;
    if (isFace(raw, src.slice(raw.length))) return asText(raw);
    return isProduct(raw, before, src[raw.length]) ? asText(/^\*+/.exec(raw)?.[0] ?? raw) : token;
  }

  override del(src: string, masked: string, before?: string): Tokens.Del | undefined {
    const token = this.#inInline(() => super.del(src, masked, opensBeside(src, masked) ? '' : before));
    return token && (isFace(token.raw, '') || isRange(token.raw, before, src[token.raw.length])) ? undefined : token;
  }

  override escape(src: string): Tokens.Escape | undefined {
    const shrug = SHRUG.exec(src)?.[0];
    if (shrug !== undefined) return { type: 'escape', raw: shrug, text: String.raw`\_(ツ)_/¯` };
    const share = SHARE.exec(src)?.[0];
    return share === undefined ? super.escape(src) : { type: 'escape', raw: share, text: share };
  }

  override inlineText(src: string): Tokens.Text | undefined {
    const token = super.inlineText(src);
    const path = token && DRIVE.test(token.raw) ? PATH.exec(src.slice(token.raw.length))?.[0] : undefined;
    return token && path !== undefined ? { ...token, raw: token.raw + path, text: token.text + path } : token;
  }

  override link(src: string): Tokens.Link | Tokens.Image | undefined {
    return this.#inInline(() => super.link(src));
  }

  override url(src: string): Tokens.Link | undefined {
    const raw = addressAt(src);
    if (raw === null) return super.url(src);
    const href = /^www\./i.test(raw) ? `http://${raw}` : raw;
    return { type: 'link', raw, text: raw, href, autolink: true, tokens: [{ type: 'text', raw, text: raw }] };
  }

  override reflink(src: string, links: Tokenizer['lexer']['tokens']['links']) {
    const token = this.#inInline(() => super.reflink(src, links));
    // A link with an unsafe target is shown as it was written.
    if (token && token.type !== 'text' && (CHANNEL.test(token.href) || safeHref(token.href))) {
      const [, words = '', label] = /^!?\[((?:\\.|[^\\])*?)\](?:\[([^\]]*)\])?$/s.exec(token.raw) ?? [];
      this.used.add((label || words).toLowerCase().replaceAll(/\s+/g, ' '));
    }
    return token;
  }

  #inBlock<T>(read: () => T | undefined): T | undefined {
    if (this.#blocks >= MAX_DEPTH) return undefined;
    this.#blocks++;
    const token = read();
    this.#blocks--;
    return token;
  }

  #inInline<T>(read: () => T | undefined): T | undefined {
    if (this.#inlines >= MAX_DEPTH) return undefined;
    this.#inlines++;
    const token = read();
    this.#inlines--;
    return token;
  }
}

const asText = (raw: string) => ({ type: 'text', raw, text: raw }) as Tokens.Generic as Tokens.Em;

/** Splits a line of a table into cells, as `marked` does. An escaped bar is text. */
function cellsOf(line: string): string[] {
  const cells = [''];
  for (const [part] of line.matchAll(/\\[\s\S]|[^\\]/g)) {
    if (part === '|') cells.push('');
    else cells[cells.length - 1] += part === '\\|' ? '|' : part;
  }
  const trimmed = cells.map((cell) => cell.trim());
  if (trimmed[0] === '') trimmed.shift();
  if (trimmed.at(-1) === '') trimmed.pop();
  return trimmed;
}

function isLargeTable(src: string): boolean {
  const head = src.indexOf('\n');
  if (head === -1) return false;
  const line = src.indexOf('\n', head + 1);
  const delimiters = src.slice(head + 1, line === -1 ? src.length : line);
  if (line === -1 || !/^[\s|:-]+$/.test(delimiters)) return false;
  const end = src.indexOf('\n\n', line);
  const rows = src.slice(line, end === -1 ? src.length : end).split('\n').length;
  return delimiters.split('|').length * rows > MAX_TABLE_CELLS;
}
