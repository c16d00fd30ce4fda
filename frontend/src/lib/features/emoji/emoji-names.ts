/** Names of emoji in the reader's language, and common short codes. */
import github from 'emojibase-data/en/shortcodes/github.json?url';
import type { Locale } from '#lib/i18n/locale.ts';
import { fold } from '#lib/util/fold.ts';
import { findEmoji, loadEmoji, withSkinTone, toneOf, type Emoji } from './emoji.ts';
import { recentEmoji, type KeyValueStorage } from './recent-emoji.ts';

export interface NamedEmoji {
  readonly emoji: string;
  /** Name without colons. */
  readonly name: string;
}

/** Emoji with their short codes, or with their names in the reader's language. */
export type EmojiNames = readonly { readonly emoji: Emoji; readonly names: readonly string[] }[];

let known: Promise<EmojiNames> | undefined;

export function loadNames(locale: Locale): Promise<EmojiNames> {
  known ??= Promise.all([loadEmoji(locale), shortNames()]).then(([groups, names]) =>
    groups.flatMap(({ emoji }) => emoji).map((emoji) => ({ emoji, names: names.get(emoji.hexcode) ?? [] }))
  );
  // After a failure, the next input tries again.
  known.catch(() => (known = undefined));
  return known;
}

async function shortNames(): Promise<Map<string, string[]>> {
  const answer = await fetch(github);
  if (!answer.ok) throw new Error(`emoji names: ${answer.status}`);
  const names = (await answer.json()) as Record<string, string | string[]>;
  return new Map(Object.entries(names).map(([code, name]) => [code, [name].flat()]));
}

/** Returns at most `most` emoji that match the typed text. Matches of short codes come before matches of keywords. */
export function suggestEmoji(all: EmojiNames, typed: string, most: number, storage: KeyValueStorage): NamedEmoji[] {
  const wanted = fold(typed);
  const [tone, recent] = [toneOf(storage), new Set(recentEmoji(storage))];
  const found = new Map<Emoji, { name: string; rank: number }>();
  for (const { emoji, names } of all) {
    for (const name of names) {
      const rank = name === wanted ? 0 : name.startsWith(wanted) ? 1 : name.includes(`_${wanted}`) ? 2 : 3;
      if (rank < Math.min(3, found.get(emoji)?.rank ?? 3)) found.set(emoji, { name, rank });
    }
  }
  if (found.size < most) {
    const byWord = findEmoji([{ name: '', emoji: all.map(({ emoji }) => emoji) }], typed.replaceAll('_', ' '));
    const short = new Map(all.map(({ emoji, names }) => [emoji, names[0]]));
    for (const emoji of byWord)
      if (!found.has(emoji)) found.set(emoji, { name: short.get(emoji) ?? emoji.label, rank: 3 });
  }
  return [...found]
    .map(([emoji, { name, rank }]) => ({
      emoji: withSkinTone(emoji, tone),
      name,
      rank,
      isRecent: recent.has(emoji.unicode)
    }))
    .toSorted((a, b) => a.rank - b.rank || Number(b.isRecent) - Number(a.isRecent) || a.name.length - b.name.length)
    .slice(0, most)
    .map(({ emoji, name }) => ({ emoji, name }));
}

/** Returns the emoji with exactly this short code; undefined if there is none. */
export function findByShortCode(all: EmojiNames, name: string, storage: KeyValueStorage): string | undefined {
  const found = all.find(({ names }) => names.includes(name.toLowerCase()));
  return found && withSkinTone(found.emoji, toneOf(storage));
}
