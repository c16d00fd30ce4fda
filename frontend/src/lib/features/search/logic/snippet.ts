/** Creates an excerpt of a message around its first match. */
import { plainText } from '#lib/features/markdown/plain.ts';

export interface Piece {
  readonly text: string;
  readonly isFound: boolean;
}

/** Characters that mark the start and end of a match. They are from the private-use area, so no visible text contains them. */
const [OPEN, CLOSE] = ['\uE000', '\uE001'];
const BEFORE = 90;
const MAX_SNIPPET = 300;

export function snippet(content: string, highlights: readonly (readonly number[])[] = []): Piece[] {
  const clean = content.replace(/[\uE000\uE001]/g, ' ');
  let marked = '';
  let at = 0;
  for (const [start = 0, length = 0] of highlights) {
    if (start < at || start + length > clean.length) continue;
    marked += clean.slice(at, start) + OPEN + clean.slice(start, start + length) + CLOSE;
    at = start + length;
  }
  marked += clean.slice(at);
  const first = marked.indexOf(OPEN);
  const begin = first > BEFORE ? wordStart(marked, first - BEFORE) : 0;
  const text = plainText(marked.slice(begin), MAX_SNIPPET);
  return pieces(begin > 0 ? `…${text}` : text);
}

function wordStart(text: string, from: number): number {
  const space = text.slice(from, from + 30).search(/\s/);
  const at = space < 0 ? from : from + space + 1;
  const code = text.charCodeAt(at);
  return code >= 0xdc00 && code <= 0xdfff ? at + 1 : at;
}

function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  const add = (part: string, isFound: boolean) => part !== '' && found.push({ text: part, isFound });
  for (const [index, part] of text.split(OPEN).entries()) {
    const [inside = '', ...rest] = part.split(CLOSE);
    // If the end mark is missing, the excerpt ends within a match.
    add(inside, index > 0);
    add(rest.join(''), false);
  }
  return found;
}
