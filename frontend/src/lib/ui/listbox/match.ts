import { fold } from '#lib/util/fold.ts';

/** Rank of a text for a query: 0 is the best, undefined means no match. Matches at the start of a word rank before others. */
export function rank(text: string, query: string): number | undefined {
  const [words, wanted] = [fold(text), fold(query.trim())];
  if (wanted === '') return 0;
  const at = words.indexOf(wanted);
  if (at === 0) return 0;
  if (at > 0) return /[\s\-_.(]/.test(words[at - 1] ?? '') ? 1 : 2;
  const parts = wanted.split(/\s+/);
  return parts.length > 1 && parts.every((part) => words.includes(part)) ? 3 : undefined;
}

/** Splits a text into the parts before, in and after the match of `query`, to highlight it. */
export function split(text: string, query: string): { before: string; match: string; after: string } {
  const wanted = fold(query.trim());
  // Possible only if folding doesn't change the positions of characters.
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

/** Returns at most `most` items that match, the best first. Equally good ones keep their order. */
export function best<T>(items: readonly T[], query: string, textOf: (item: T) => string, most: number): T[] {
  return items
    .map((item, index) => ({ item, index, rank: rank(textOf(item), query) }))
    .filter((entry): entry is { item: T; index: number; rank: number } => entry.rank !== undefined)
    .sort((a, b) => a.rank - b.rank || a.index - b.index)
    .slice(0, most)
    .map(({ item }) => item);
}
