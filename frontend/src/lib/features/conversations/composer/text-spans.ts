/** Styles of a text that is being typed, by the same grammar by which it will be shown. */
import type { Token } from 'marked';
import { lex, lexParagraph } from '#lib/features/markdown/tokens.ts';
import { cutMentions, type Name } from '../mentions.ts';

/** Part of the text. `style` has the names of its styles, separated by spaces; empty for plain text. */
export interface TextSpan {
  readonly text: string;
  readonly style: string;
}

/** Length in UTF-16 units up to which a text is styled, because it is parsed again for each typed character. */
export const MAX_STYLED_CHARS = 20_000;
/** Text without any of these characters is plain. */
const MARKUP = /[*_~`[@＠#>|]|:\/\/|www\.|^\s*(?:[-+]|\d+[.)])\s/m;
/** Marks at the start of a line: those of quotes, list items, checkboxes and headings. */
const LINE_MARKS =
  /^(?:[ \t]*(?:>|(?:[-*+]|\d{1,9}[.)])(?=[ \t])(?:[ \t]+\[[ xX]\](?=[ \t]))?|#{1,6}(?=[ \t]))[ \t]?)+/;
const FENCE = /^[ \t]*(`{3,}|~{3,})/;

/** Splits a text into styled parts. Null if it is plain, or too long. */
export function spansOf(text: string, names: readonly Name[]): TextSpan[] | null {
  if (text.length > MAX_STYLED_CHARS || !MARKUP.test(text)) return null;
  const spans = merged(parts(text, names));
  // The parts must be exactly the text, because they are drawn over it.
  const isWhole = spans.map((span) => span.text).join('') === text;
  return isWhole && spans.some(({ style }) => style !== '') ? spans : null;
}

function parts(text: string, names: readonly Name[]): TextSpan[] {
  try {
    return lex(text).flatMap((token) => ofBlock(token, names));
  } catch {
    return [];
  }
}

/** Joins neighbours of the same style, so that their letters are shaped together. */
function merged(spans: readonly TextSpan[]): TextSpan[] {
  const all: TextSpan[] = [];
  for (const span of spans) {
    const last = all.at(-1);
    if (last?.style === span.style) all[all.length - 1] = { ...last, text: last.text + span.text };
    else if (span.text !== '') all.push(span);
  }
  return all;
}

function ofBlock(token: Token, names: readonly Name[]): TextSpan[] {
  const { raw, type } = token;
  if (type === 'space') return [{ text: raw, style: '' }];
  if (type === 'hr') return [{ text: raw, style: 'mark' }];
  if (type === 'code' && !FENCE.test(raw)) return [{ text: raw, style: 'code' }];
  if (type === 'paragraph' && 'text' in token && raw.startsWith(token.text))
    return [...ofInlines(token.tokens ?? [], token.text, '', names), { text: raw.slice(token.text.length), style: '' }];
  return ofLines(raw, names);
}

/** Styles the lines of a block that contains others, such as a list. */
function ofLines(raw: string, names: readonly Name[]): TextSpan[] {
  let open: string | null = null;
  return raw.split(/(?<=\n)/).flatMap((line) => {
    const fence = FENCE.exec(line)?.[1];
    if (open !== null) {
      const isEnd = fence?.startsWith(open) && line.trim() === fence;
      if (isEnd) open = null;
      return [{ text: line, style: isEnd ? 'code mark' : 'code' }];
    }
    if (fence !== undefined) {
      open = fence;
      return [{ text: line, style: 'code mark' }];
    }
    const mark = LINE_MARKS.exec(line)?.[0] ?? '';
    const rest = line.slice(mark.length);
    const style = mark.includes('#') ? 'strong' : '';
    return [{ text: mark, style: 'mark' }, ...ofInlines(lexParagraph(rest).tokens, rest, style, names)];
  });
}

function ofInlines(tokens: readonly Token[], text: string, style: string, names: readonly Name[]): TextSpan[] {
  const spans = tokens.flatMap((token) => ofInline(token, style, names));
  return spans.map((span) => span.text).join('') === text ? spans : [{ text, style }];
}

const STYLES: Partial<Record<string, string>> = { strong: 'strong', em: 'em', del: 'del' };

function ofInline(token: Token, style: string, names: readonly Name[]): TextSpan[] {
  const { raw, type } = token;
  const own = STYLES[type];
  if (own !== undefined && 'text' in token && 'tokens' in token) {
    const mark = raw.slice(0, (raw.length - token.text.length) / 2);
    if (raw !== mark + token.text + raw.slice(raw.length - mark.length)) return [{ text: raw, style }];
    const inner = ofInlines(token.tokens ?? [], token.text, added(style, own), names);
    return enclosed(mark, inner, raw.slice(raw.length - mark.length), style);
  }
  switch (type) {
    case 'text':
      return cutMentions(raw, names).map(({ text, kind }) => ({
        text,
        style: kind === null || kind === 'emoji' ? style : added(style, kind === 'me' ? 'mention me' : 'mention')
      }));
    case 'codespan': {
      const mark = /^`+/.exec(raw)?.[0] ?? '';
      const code = raw.slice(mark.length, raw.length - mark.length);
      return enclosed(mark, [{ text: code, style: added(style, 'code') }], mark, added(style, 'code'));
    }
    case 'math':
      return [{ text: raw, style: added(style, 'code') }];
    case 'link':
    case 'image': {
      const text: string = 'text' in token ? token.text : '';
      if (type === 'image' || !raw.startsWith(`[${text}]`)) return [{ text: raw, style: added(style, 'link') }];
      const inner = ofInlines(token.tokens ?? [], text, added(style, 'link'), names);
      return enclosed('[', inner, raw.slice(text.length + 1), style);
    }
    default:
      return [{ text: raw, style }];
  }
}

function enclosed(open: string, inner: readonly TextSpan[], close: string, style: string): TextSpan[] {
  const mark = added(style, 'mark');
  return [{ text: open, style: mark }, ...inner, { text: close, style: mark }];
}

const added = (style: string, name: string) => (style === '' ? name : `${style} ${name}`);
