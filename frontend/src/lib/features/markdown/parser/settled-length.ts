/**
 * Finds the part of streaming Markdown that can be shown. It ends before markup whose meaning may still change, such as the head of a table, an
 * incomplete link or open emphasis. This is a heuristic by lines: at worst, text appears a moment later.
 */

import { UNSPACED, WIDE_MARK } from './unspaced.ts';

const WIDE = new RegExp(WIDE_MARK, 'u');
const BESIDE = new RegExp(`${UNSPACED}|${WIDE_MARK}`, 'u');
/** Length in characters from which an open construct is shown without waiting for its end. */
const MAX_SPAN = 240;
const MAX_ADDRESS = 2_000;
const MAX_FORMULA = 2_000;

/** Markers of quotes and lists before a block. */
const INSIDE = String.raw`[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*`;
const FENCE = new RegExp(`^${INSIDE}(\`{3,}|~{3,})(.*)$`);
/** Line that contains only markup so far: the marker of a list, heading, rule, fence or task. */
const ONLY_MARKS = new RegExp(`^${INSIDE}(?:[-*+_=~\`#>|]+|\\d{1,9}[.)]?|\\[[ xX]?\\]?)?[ \\t]*$`);
const TABLE_HEAD = new RegExp(`^${INSIDE}\\|`);
const DELIMITERS = /^[ \t>]*\|?[ \t]*:?-[-:| \t]*$/;

/** Returns the length of the part of `open` that can be shown. `open` starts with a block. */
export function settledLength(open: string): number {
  const lines = open.split('\n');
  const last = lines.at(-1) ?? '';
  const lastAt = open.length - last.length;
  const fence = openFence(lines);
  if (fence !== null) return /^[ \t>]*[`~]+$/.test(last) ? lastAt : open.length;
  if (FENCE.test(last)) return lastAt;
  const table = unfinishedTable(lines);
  if (table !== null) return table;
  if (last.trim() !== '' && ONLY_MARKS.test(last)) return lastAt;
  const from = open.lastIndexOf('\n\n') + 1;
  return from + settledSpans(open.slice(from));
}

/** Fence of the code block that is open after the complete lines; null if there is none. */
function openFence(lines: readonly string[]): string | null {
  let fence: string | null = null;
  for (const line of lines.slice(0, -1)) {
    const [, marks = '', after = ''] = FENCE.exec(line) ?? [];
    if (fence === null) fence = marks && !(marks.startsWith('`') && after.includes('`')) ? marks : null;
    else if (marks.startsWith(fence) && after.trim() === '') fence = null;
  }
  return fence;
}

/** Index of the table that starts at the end of the text and whose delimiter row is incomplete; null if there is none. */
function unfinishedTable(lines: readonly string[]): number | null {
  const last = lines.at(-1) ?? '';
  const before = lines.at(-2) ?? '';
  const isInTable = lines.slice(0, -1).some((line) => line.includes('|') && DELIMITERS.test(line));
  if (isInTable) return null;
  const end = lines.reduce((sum, line) => sum + line.length + 1, -1);
  const isBelowHead =
    before.includes('|') && /^[ \t>|:-]*$/.test(last) && (/[|:-]/.test(last) || TABLE_HEAD.test(before));
  if (isBelowHead) return end - last.length - 1 - before.length;
  return TABLE_HEAD.test(last) ? end - last.length : null;
}

interface Opener {
  readonly mark: string;
  readonly at: number;
}

/** Length of the text whose inline markup can't change any more. */
function settledSpans(text: string): number {
  const openers: Opener[] = [];
  const end = text.length;
  const isNear = (at: number, longest: number) => end - at <= longest;
  for (let at = 0; at < end;) {
    const sign = text[at] as string;
    if (sign === '\\' && !'([$'.includes(text[at + 1] ?? '(')) {
      at += 2;
    } else if (sign === '`') {
      const marks = run(text, at);
      const close = closing(text, marks, at + marks.length);
      if (close === -1) {
        if (isNear(at, MAX_SPAN)) return Math.min(at, firstOpenEmphasis(openers, end));
        at += marks.length;
      } else at = close + marks.length;
    } else if (sign === '$' || sign === '\\') {
      const next = formula(text, at);
      if (next === null) return Math.min(at, firstOpenEmphasis(openers, end));
      at = next;
    } else if (sign === '[') {
      const next = link(text, at);
      if (next === null) return Math.min(text[at - 1] === '!' ? at - 1 : at, firstOpenEmphasis(openers, end));
      at = next;
    } else if (sign === '!' && at === end - 1) {
      at += 1;
    } else if (sign === '*' || sign === '_' || sign === '~') {
      at = emphasis(text, at, openers);
    } else if (sign === '&' && /^&[#\w]{0,8}$/.test(text.slice(at, at + 10))) {
      return Math.min(at, firstOpenEmphasis(openers, end));
    } else if (sign === '<') {
      const next = tag(text, at);
      if (next === null) return Math.min(at, firstOpenEmphasis(openers, end));
      at = next;
    } else at += 1;
  }
  return firstOpenEmphasis(openers, end);
}

/** Index of the first emphasis that is still open and may be closed; `end` if there is none. */
function firstOpenEmphasis(openers: readonly Opener[], end: number): number {
  return openers.find(({ at }) => end - at <= MAX_SPAN)?.at ?? end;
}

function run(text: string, at: number): string {
  let end = at + 1;
  while (text[end] === text[at]) end++;
  return text.slice(at, end);
}

/** Index of the backticks that end a code span, as many as at its start; -1 if there are none. */
function closing(text: string, marks: string, from: number): number {
  for (let at = text.indexOf(marks, from); at !== -1;) {
    const found = run(text, at);
    if (found.length === marks.length) return at;
    at = text.indexOf(marks, at + found.length);
  }
  return -1;
}

/** Index after a formula or a plain dollar sign; null while the formula is open. */
function formula(text: string, at: number): number | null {
  const rest = text.length - at;
  for (const [open, close] of [
    ['$$', '$$'],
    ['\\(', '\\)'],
    ['\\[', '\\]']
  ] as const) {
    if (!text.startsWith(open, at)) continue;
    const end = text.indexOf(close, at + open.length);
    if (end !== -1) return end + close.length;
    return rest > MAX_FORMULA ? at + open.length : null;
  }
  if (rest === 1) return null;
  // A digit after the sign makes it a price most likely.
  if (text[at] !== '$' || /[\s\d]/.test(text[at + 1] ?? '')) return at + 1;
  const line = text.indexOf('\n', at);
  const end = text.indexOf('$', at + 1);
  if (end !== -1 && (line === -1 || end < line)) return end + 1;
  return line !== -1 || rest > MAX_SPAN ? at + 1 : null;
}

/** Index after a link or plain brackets; null while they are open. */
function link(text: string, at: number): number | null {
  const rest = text.length - at;
  const label = text.indexOf(']', at);
  if (label === -1) return rest > MAX_SPAN ? at + 1 : null;
  if (label === text.length - 1) return rest > MAX_SPAN ? at + 1 : null;
  if (text[label + 1] !== '(') return at + 1;
  const end = text.indexOf(')', label);
  if (end !== -1) return end + 1;
  return rest > MAX_ADDRESS || /\n/.test(text.slice(label)) ? at + 1 : null;
}

/** Index after a tag; null while the tag or its element is open. */
function tag(text: string, at: number): number | null {
  if (/^<\/?[a-z]{0,7}[ /]{0,2}$/i.test(text.slice(at, at + 12))) return null;
  const [whole, name = ''] = /^<(sub|sup|kbd|u|s|mark)\s*>/i.exec(text.slice(at, at + 12)) ?? [];
  if (whole === undefined) return at + 1;
  const isOpen = !text
    .slice(at, at + MAX_SPAN)
    .toLowerCase()
    .includes(`</${name.toLowerCase()}>`);
  return isOpen && text.length - at <= MAX_SPAN ? null : at + whole.length;
}

/** Handles a delimiter that opens or closes emphasis, by the rules of CommonMark and of `emphasis.ts`. */
function emphasis(text: string, at: number, openers: Opener[]): number {
  const marks = run(text, at);
  const next = at + marks.length;
  const before = text[at - 1] ?? ' ';
  const after = text[next];
  const isSpace = (sign: string) => /\s/.test(sign);
  const sign = marks[0] as string;
  const isBeside = (one: string) => sign !== '_' && BESIDE.test(one);
  const isMark = (one: string) => /[\p{P}\p{S}]/u.test(one) && !(sign !== '_' && WIDE.test(one));
  const isFree = (one: string) => isSpace(one) || isMark(one) || isBeside(one);
  if (sign === '~' && marks.length === 1 && after !== undefined) return next;
  const opens = after === undefined || (!isSpace(after) && (!isMark(after) || isFree(before)));
  const closes = !isSpace(before) && (!isMark(before) || after === undefined || isFree(after));
  const isInWord = sign === '_' && /[\p{L}\p{N}]/u.test(before);
  let left = marks.length;
  while (closes && left > 0) {
    const opener = openers.findLastIndex(({ mark }) => mark[0] === sign);
    if (opener === -1) break;
    const { mark, at: from } = openers[opener] as Opener;
    const used = Math.min(mark.length, left);
    openers.length = opener;
    if (mark.length > used) openers.push({ mark: mark.slice(used), at: from });
    left -= used;
  }
  if (left > 0 && opens && !isInWord) openers.push({ mark: marks.slice(0, left), at });
  return next;
}
