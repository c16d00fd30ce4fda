/** Mentions in a text that is being typed. */
import type { Mention } from '#lib/api/types.ts';
import { fold } from '#lib/util/fold.ts';
import { mentionsIn, cutMentions, mayBegin, piecesOf, type Name } from '../mentions.ts';

/** Returns the mentions of an edited text. Earlier mentions of people whose names aren't known here are kept. */
export function mentionsAfterEdit(text: string, names: readonly Name[], before: readonly Mention[]): Mention[] {
  // If several people have the same name, one who was mentioned before is meant.
  const first = names.filter(({ id }) => id && before.some((mention) => mention.id === id));
  const called = mentionsIn(text, [...first, ...names]);
  const isUnknown = ({ id }: Mention) => id != null && !names.some((name) => name.id === id);
  return [...called, ...before.filter(isUnknown)];
}

/** Replaces `@all` by `@here` where it is a mention. */
export function withHere(text: string, names: readonly Name[]): string {
  const pieces = cutMentions(text, names).map(({ kind, text }) => ({ kind, text }));
  const joined = () => pieces.map((piece) => piece.text).join('');
  const calls = () => piecesOf(joined(), names).filter(({ kind }) => kind === 'all').length;
  for (const piece of pieces.filter(({ kind }) => kind === 'all')) {
    const [before, typed] = [calls(), piece.text];
    piece.text = '@here';
    if (calls() === before) piece.text = typed;
  }
  return joined();
}

export interface MentionQuery {
  /** Index of the `@`. */
  readonly at: number;
  readonly query: string;
}

/** Markdown characters in a name. An underscore inside a word has no meaning in Markdown. */
const MARKS = /[\\`*~\]<$|]|&(?=[#\w]+;)|(?<![\p{L}\p{N}]_*)_|_(?!_*[\p{L}\p{N}])/gu;

/** Escapes the Markdown characters of a name. */
export const escapeName = (name: string): string => name.replace(MARKS, String.raw`\$&`);

/** Text that ends with a name and the slash that separates it from the next mention. */
const MENTION_AND_SLASH = /(?:^|[\s(])[@＠][^\n@＠/]{1,60}\/$/u;

/** Returns the mention that is being typed before the caret; null if there is none. */
export function mentionQueryAt(text: string, caret: number): MentionQuery | null {
  const at = Math.max(text.lastIndexOf('@', caret - 1), text.lastIndexOf('＠', caret - 1));
  if (at === -1) return null;
  if (!mayBegin(text, at, '@') && !MENTION_AND_SLASH.test(text.slice(Math.max(0, at - 63), at))) return null;
  const query = text.slice(at + 1, caret);
  return query.length > 30 || /[\n@＠]|\s{2}|^\s/.test(query) ? null : { at, query };
}

/** Returns at most `most` names that match the query. Names that start with it come first. */
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
  // An empty query matches everything: people are cut off first, so that `@all` and `@here` stay in the list.
  const many = found.filter(({ kind }) => kind === 'all' || kind === 'here');
  return [...found.filter((name) => !many.includes(name)).slice(0, most - many.length), ...many];
}
