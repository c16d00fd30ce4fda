/**
 * The grammar: CommonMark with GitHub's additions, as `marked` reads it, with formulas, and with bounds. `marked` goes
 * into nested quotes, lists and emphasis by recursion, and so does the page that draws them; a text of two hundred
 * signs could exhaust either.
 */
import { Lexer, Tokenizer, type MarkedOptions, type Token, type Tokens } from 'marked';
import { addressAt } from './address.ts';
import { CHANNEL, safeHref } from './links.ts';
import { MATH } from './math.ts';

/** Quotes and lists in each other, and likewise emphasis and links. What is deeper is plain text. */
export const DEEPEST = 16;
/** A head of many columns makes every line below it a row of as many cells, however short the line is. */
export const MOST_CELLS = 3_000;

export function lex(source: string): Token[] {
  const tokenizer = new BoundedTokenizer();
  const options: MarkedOptions = { gfm: true, breaks: true, tokenizer };
  if (/\$|\\[([]/.test(source)) options.extensions = MATH;
  const tokens = new Lexer(options).lex(source);
  showUnused(tokens, tokenizer.used);
  return tokens;
}

/** The address of a link that is nowhere in the text would be hidden from who reads it: it is shown as it was written. */
function showUnused(tokens: readonly Token[], used: ReadonlySet<string>): void {
  for (const token of tokens) {
    if (token.type === 'def' && !used.has((token as Tokens.Def).tag)) {
      const written = new Lexer({ gfm: true, breaks: true }).inlineTokens(token.raw.trimEnd());
      Object.assign(token, { type: 'paragraph', text: token.raw, tokens: written });
    } else if (token.type === 'list') showUnused((token as Tokens.List).items, used);
    else if (token.type === 'blockquote' || token.type === 'list_item') showUnused(token.tokens ?? [], used);
  }
}

class BoundedTokenizer extends Tokenizer {
  /** Labels of addresses that some link has. */
  readonly used = new Set<string>();
  #blocks = 0;
  #inlines = 0;

  override blockquote(src: string): Tokens.Blockquote | undefined {
    return this.#inBlock(() => super.blockquote(src));
  }

  override list(src: string): Tokens.List | undefined {
    return this.#inBlock(() => super.list(src));
  }

  override table(src: string): Tokens.Table | undefined {
    return isLargeTable(src) ? undefined : super.table(src);
  }

  override emStrong(src: string, masked: string, before?: string): Tokens.Em | Tokens.Strong | undefined {
    return this.#inInline(() => super.emStrong(src, masked, before));
  }

  override del(src: string, masked: string, before?: string): Tokens.Del | undefined {
    return this.#inInline(() => super.del(src, masked, before));
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
    // One that can't be followed is shown as it was written, and so is its address.
    if (token && token.type !== 'text' && (CHANNEL.test(token.href) || safeHref(token.href))) {
      const [, words = '', label] = /^!?\[((?:\\.|[^\\])*?)\](?:\[([^\]]*)\])?$/s.exec(token.raw) ?? [];
      this.used.add((label || words).toLowerCase().replaceAll(/\s+/g, ' '));
    }
    return token;
  }

  #inBlock<T>(read: () => T | undefined): T | undefined {
    if (this.#blocks >= DEEPEST) return undefined;
    this.#blocks++;
    const token = read();
    this.#blocks--;
    return token;
  }

  #inInline<T>(read: () => T | undefined): T | undefined {
    if (this.#inlines >= DEEPEST) return undefined;
    this.#inlines++;
    const token = read();
    this.#inlines--;
    return token;
  }
}

function isLargeTable(src: string): boolean {
  const head = src.indexOf('\n');
  if (head === -1) return false;
  const line = src.indexOf('\n', head + 1);
  const delimiters = src.slice(head + 1, line === -1 ? src.length : line);
  if (line === -1 || !/^[\s|:-]+$/.test(delimiters)) return false;
  const end = src.indexOf('\n\n', line);
  const rows = src.slice(line, end === -1 ? src.length : end).split('\n').length;
  return delimiters.split('|').length * rows > MOST_CELLS;
}
