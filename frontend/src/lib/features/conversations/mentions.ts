/** Mention parser: finds the names that a text contains, among those that can be mentioned in its conversation. */
import type { Mention } from '#lib/api/types.ts';
import { fold, normalizePunctuation } from '#lib/util/fold.ts';
import { ownLines } from '#lib/features/markdown/custom-tokens.ts';
import { parse } from '#lib/features/markdown/parse.ts';
import type { Inline } from '#lib/features/markdown/tree.ts';

export { isMentioned } from './mention-check.ts';

/** Kind of a name. `all` mentions every member, `here` those who are online. Channels are written as `#name`, custom emoji as `:name:`. */
export type MentionKind = 'me' | 'person' | 'assistant' | 'all' | 'here' | 'channel' | 'emoji';

export interface Name {
  /** Id of the person, assistant, channel or emoji. */
  readonly id?: string;
  readonly name: string;
  readonly kind: MentionKind;
  /** Description of an assistant; distinguishes assistants with the same name. */
  readonly about?: string;
}

export interface Piece {
  readonly text: string;
  /** Kind of the name; null for text that is no mention. */
  readonly kind: MentionKind | null;
  readonly id?: string | undefined;
}

export const SIGN = /[@＠#:]/;
const SIGNS: Partial<Record<MentionKind, string>> = { channel: '#', emoji: ':' };
/** Characters that words consist of, as the server's search defines them. `UNSPACED` excludes scripts that don't separate words by spaces. */
const PART = /[\p{Alphabetic}\p{M}\p{N}_]/u;
const UNSPACED =
  /[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\u{20000}-\u{3ffff}]/u;
/** Letter with its combining marks. In Hangul, all parts of a syllable. */
const LETTER = /\P{M}[\p{M}\u1160-\u11ff\uff9e\uff9f]*|\p{M}+/gu;

interface IndexedName {
  readonly name: Name;
  readonly sign: string;
  /** Name, normalised for comparison. */
  readonly text: string;
  /** Letters of the name, each with its form without diacritics; false if no letter has any. */
  readonly letters: readonly (readonly [string, string])[] | false;
}

/** Normalised names by list, because a list is used for every message. */
const known = new WeakMap<readonly Name[], readonly IndexedName[]>();

function knownOf(names: readonly Name[]): readonly IndexedName[] {
  let all = known.get(names);
  if (!all) {
    all = names
      .filter(({ name }) => name !== '')
      .map((name) => {
        const sign = SIGNS[name.kind] ?? '@';
        const text = foldText(name.name);
        const letters = (text.match(LETTER) ?? []).map((letter) => [letter, fold(letter)] as const);
        return {
          name,
          sign,
          text,
          letters: sign === '@' && letters.some(([letter, plain]) => letter !== plain) && letters
        };
      });
    known.set(names, all);
  }
  return all;
}

/**
 * Splits plain text at its mentions. The longest name wins: “@Mai Trần” doesn't mention “Mai”. Diacritics may be omitted if the name stays
 * unambiguous. The server applies the same rules to mentions of assistants; the tests of both run the cases of `mentions.json`.
 */
export function cutMentions(text: string, names: readonly Name[]): Piece[] {
  if (!SIGN.test(text) || names.length === 0) return [{ text, kind: null }];
  const pieces: Piece[] = [];
  const whole = wholeNames(text, names);
  let plainFrom = 0;
  for (let at = 0; at < text.length; at++) {
    const sign = text[at] === '＠' ? '@' : (text[at] ?? '');
    // A mention may follow another one without a space, or after a slash.
    const mentionEnd = text[at - 1] === '/' ? at - 1 : at;
    const isBehind = sign === '@' && mentionEnd > 0 && (plainFrom === at || plainFrom === mentionEnd);
    if (!SIGN.test(sign) || !(isBehind || mayBegin(text, at, sign))) continue;
    const found = whole.get(at) ?? (sign === '@' ? null : nameAt(text, at, sign, names, whole));
    if (!found) continue;
    if (at > plainFrom) pieces.push({ text: text.slice(plainFrom, at), kind: null });
    const { end, name } = found;
    pieces.push({ text: text.slice(at, end), kind: name.kind, id: name.id });
    plainFrom = end;
    at = end - 1;
  }
  if (plainFrom < text.length) pieces.push({ text: text.slice(plainFrom), kind: null });
  return pieces;
}

/** Normalises a text for comparison: letter case, Unicode form and width. */
function foldText(text: string): string {
  return (text.match(LETTER) ?? []).map(foldLetter).join('');
}

function foldLetter(letter: string): string {
  const one = letter.normalize('NFKC').toUpperCase().toLowerCase();
  return normalizePunctuation(one.replaceAll('i\u0307', 'i').replaceAll('ς', 'σ'));
}

/** Index after the name, if it is in the text at index `at`; otherwise -1. */
function nameEnd(name: string, text: string, at: number): number {
  let said = '';
  LETTER.lastIndex = at;
  while (said.length < name.length) {
    const letter = LETTER.exec(text)?.[0];
    if (letter === undefined) return -1;
    said += foldLetter(letter);
    if (!name.startsWith(said)) return -1;
  }
  return LETTER.lastIndex;
}

/** Works like `nameEnd`, but diacritics may be omitted. */
function nameEndIgnoringAccents(letters: IndexedName['letters'], text: string, at: number): number {
  let end = letters ? at : -1;
  for (const forms of letters || [])
    end = Math.max(...forms.map((form) => (end === -1 ? -1 : nameEnd(form, text, end))));
  return end;
}

const isOfWord = (sign: string) => PART.test(sign) && !UNSPACED.test(sign);

/** Whether a mention may start at index `at`, because that isn't inside a word, path or address. */
export function mayBegin(text: string, at: number, sign: string): boolean {
  const last = text[at - 1] ?? '';
  const before = /[\udc00-\udfff]/.test(last) ? text.slice(at - 2, at) : last;
  // A dot or dash after a word may belong to an address; elsewhere it is punctuation.
  const isOfPath = before === '/' || (/[.-]/.test(before) && isOfWord(text[at - 2] ?? ''));
  return !isOfWord(before) && !(sign === '@' && isOfPath);
}

interface Found {
  readonly name: Name;
  readonly end: number;
}

/** Finds the mentions from the end of the text to its start, because a mention may end where the next one starts. */
function wholeNames(text: string, names: readonly Name[]): Map<number, Found> {
  const whole = new Map<number, Found>();
  for (const { index } of [...text.matchAll(/[@＠]/g)].toReversed()) {
    const found = nameAt(text, index, '@', names, whole);
    if (found) whole.set(index, found);
  }
  return whole;
}

function nameAt(
  text: string,
  at: number,
  sign: string,
  names: readonly Name[],
  whole: ReadonlyMap<number, Found>
): Found | null {
  let best: IndexedName | undefined;
  let most = 0;
  let isClear = true;
  for (const one of knownOf(names)) {
    if (one.sign !== sign) continue;
    const exact = nameEnd(one.text, text, at + 1);
    const end = exact === -1 ? nameEndIgnoringAccents(one.letters, text, at + 1) : exact;
    // The longest match wins; of equally long ones, that with the exact diacritics.
    const rank = 2 * end + Number(end === exact);
    const isBefore = whole.has(end) || (text[end] === '/' && whole.has(end + 1));
    if (end === -1 || rank < most || !(mayEnd(text, end, sign) || isBefore)) continue;
    isClear = rank > most || (isClear && one.text === best?.text);
    if (rank > most) best = one;
    most = rank;
  }
  return best && isClear ? { name: best.name, end: most >> 1 } : null;
}

/** Whether a name may end here, because it is complete and not the start of a path or address. */
function mayEnd(text: string, end: number, sign: string): boolean {
  const [next = '', behind = ''] = text.slice(end, end + 4);
  if (sign === '@' && /[/\\@＠]/.test(next)) return false;
  return !isOfWord(sign === '@' && /[.-]/.test(next) ? behind : next);
}

/** Whether the text mentions the reader. Names in code, formulas, links and quotes don't count. */
export function mentionsReader(text: string, names: readonly Name[]): boolean {
  return piecesOf(text, names).some(({ kind }) => kind === 'me');
}

/** Mentions of a text in the format of the API, without duplicates. */
export function mentionsIn(text: string, names: readonly Name[]): Mention[] {
  const found = new Map<string, Mention>();
  for (const piece of piecesOf(text, names)) {
    const { id } = piece;
    if (piece.kind === 'all' || piece.kind === 'here') found.set(piece.kind, { kind: piece.kind });
    else if (id && (piece.kind === 'person' || piece.kind === 'assistant'))
      found.set(id, { kind: piece.kind === 'person' ? 'user' : 'assistant', id });
  }
  return [...found.values()];
}

export function piecesOf(text: string, names: readonly Name[]): Piece[] {
  return /[@＠]/.test(text)
    ? parse(text)
        .flatMap(ownLines)
        .flatMap(textsIn)
        .flatMap((one) => cutMentions(one, names))
    : [];
}

function textsIn(inlines: readonly Inline[]): string[] {
  return inlines.flatMap((inline) => {
    switch (inline.type) {
      case 'text':
        return [inline.text];
      case 'strong':
      case 'em':
      case 'del':
        return textsIn(inline.children);
      default:
        return [];
    }
  });
}
