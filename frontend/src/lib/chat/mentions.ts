import type { Mention } from '#lib/api/types.ts';

/** Who can be called by `@name` in a conversation, and where that happens in a text. */
/** `all`: every member; `here`: those who are online. A channel is named by `#`, an emoji of the workspace by `:name:`. */
export type CalledKind = 'me' | 'person' | 'assistant' | 'all' | 'here' | 'channel' | 'emoji';

export interface Name {
  /** Of a person, an assistant, a channel or an emoji’s picture. */
  readonly id?: string;
  readonly name: string;
  readonly kind: CalledKind;
  /** What an assistant is for. */
  readonly about?: string;
}

export interface Piece {
  readonly text: string;
  /** `null` for plain text. */
  readonly kind: CalledKind | null;
  readonly id?: string | undefined;
}

export const SIGN = /[@#:]/;
const SIGNS: Partial<Record<CalledKind, string>> = { channel: '#', emoji: ':' };
const LETTER = /[\p{L}\p{N}_]/u;

/** Cuts a text at the names in it. The longest name wins: “@Mai Trần” is not “@Mai”. */
export function cutMentions(text: string, names: readonly Name[]): Piece[] {
  if (!SIGN.test(text) || names.length === 0) return [{ text, kind: null }];
  const byLength = names.toSorted((a, b) => b.name.length - a.name.length);
  const pieces: Piece[] = [];
  let plainFrom = 0;
  for (let at = 0; at < text.length; at++) {
    const sign = text[at];
    if (!sign || !SIGN.test(sign) || (at > 0 && LETTER.test(text[at - 1] ?? ''))) continue;
    const found = byLength.find(
      ({ kind, name }) => (SIGNS[kind] ?? '@') === sign && startsWithName(text, at + 1, name)
    );
    if (!found) continue;
    if (at > plainFrom) pieces.push({ text: text.slice(plainFrom, at), kind: null });
    plainFrom = at + 1 + found.name.length;
    pieces.push({ text: text.slice(at, plainFrom), kind: found.kind, id: found.id });
    at = plainFrom - 1;
  }
  if (plainFrom < text.length) pieces.push({ text: text.slice(plainFrom), kind: null });
  return pieces;
}

/** Whether the text calls the reader. */
export function callsMe(text: string, names: readonly Name[]): boolean {
  return cutMentions(text, names).some((piece) => piece.kind === 'me');
}

/** Whom a text calls, each once, as the server wants it said. */
export function calledIn(text: string, names: readonly Name[]): Mention[] {
  const found = new Map<string, Mention>();
  for (const piece of cutMentions(text, names)) {
    const { id } = piece;
    if (piece.kind === 'all' || piece.kind === 'here') found.set(piece.kind, { kind: piece.kind });
    else if (id && (piece.kind === 'person' || piece.kind === 'assistant'))
      found.set(id, { kind: piece.kind === 'person' ? 'user' : 'assistant', id });
  }
  return [...found.values()];
}

/** Whether it calls the person with that id, by name or with everybody. */
export function isCalled(mentions: readonly Mention[], me: string | null): boolean {
  return mentions.some(({ kind, id }) => kind === 'all' || kind === 'here' || (kind === 'user' && id === me));
}

export interface Asked {
  /** Where the `@` stands. */
  readonly at: number;
  readonly query: string;
}

/** What is being typed after an `@` right before the caret, if anything is. */
export function askedAt(text: string, caret: number): Asked | null {
  const at = text.lastIndexOf('@', caret - 1);
  if (at === -1 || (at > 0 && !/\s|[([{"'“]/.test(text[at - 1] ?? ''))) return null;
  const query = text.slice(at + 1, caret);
  return query.length > 30 || /[\n@]|\s{2}|^\s/.test(query) ? null : { at, query };
}

/** The names that fit what is being typed, those that begin with it first. */
export function matching(names: readonly Name[], query: string, most = 6): Name[] {
  const wanted = fold(query);
  const rank = ({ name }: Name) => {
    const folded = fold(name);
    if (folded.startsWith(wanted)) return 0;
    return folded.split(/\s+/).some((word) => word.startsWith(wanted)) ? 1 : 2;
  };
  const found = names
    .filter((name) => name.kind !== 'me' && rank(name) < 2)
    .toSorted((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
  if (query !== '') return found.slice(0, most);
  // At the bare sign all of them fit: those that mean many shall not be lost behind the people.
  const many = found.filter(({ kind }) => kind === 'all' || kind === 'here');
  return [...found.filter((name) => !many.includes(name)).slice(0, most - many.length), ...many];
}

function startsWithName(text: string, at: number, name: string): boolean {
  if (name === '') return false;
  const candidate = text.slice(at, at + name.length);
  return candidate.toLowerCase() === name.toLowerCase() && !LETTER.test(text[at + name.length] ?? '');
}

/** “Trần” is found by “tran”. */
function fold(text: string): string {
  return text.normalize('NFD').replace(/\p{M}/gu, '').replace(/đ/gi, 'd').toLowerCase();
}
