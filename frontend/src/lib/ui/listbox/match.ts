import { fold } from '#lib/util/fold.ts';

/** Rank of `text` for `query`: 0 is best, undefined is no match. Word starts rank before other positions. */
export function rank(text: string, query: string): number | undefined {
  const [words, wanted] = [fold(text), fold(query.trim())];
  if (wanted === '') return 0;
  const at = words.indexOf(wanted);
  if (at === 0) return 0;
  if (at > 0) return /[\s\-_.(]/.test(words[at - 1] ?? '') ? 1 : 2;
  const parts = wanted.split(/\s+/);
  return parts.length > 1 && parts.every((part) => words.includes(part)) ? 3 : undefined;
}

/** Splits `text` at the match of `query`, for highlighting. */
export function split(text: string, query: string): { before: string; match: string; after: string } {
  const wanted = fold(query.trim());
  // Only possible if folding keeps the character positions.
  const composed = text.normalize('NFC');
  const folded = [...composed].map(fold);
  if (wanted === '' || folded.some((character) => character.length !== 1)) {
    return { before: text, match: '', after: '' };
  }
  const at = folded.join('').indexOf(wanted);
  if (at < 0) return { before: text, match: '', after: '' };
  const characters = [...composed];
  return {
    before: characters.slice(0, at).join(''),
    match: characters.slice(at, at + wanted.length).join(''),
    after: characters.slice(at + wanted.length).join('')
  };
}

/** Matching items, best first, otherwise in their order. */
export function best<T>(items: readonly T[], query: string, textOf: (item: T) => string, most: number): T[] {
  return items
    .map((item, index) => ({ item, index, rank: rank(textOf(item), query) }))
    .filter((entry): entry is { item: T; index: number; rank: number } => entry.rank !== undefined)
    .sort((a, b) => a.rank - b.rank || a.index - b.index)
    .slice(0, most)
    .map(({ item }) => item);
}
