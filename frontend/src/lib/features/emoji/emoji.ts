/** Emoji with names in the reader's language, from emojibase-data (CLDR). */
import de from 'emojibase-data/de/compact.json?url';
import en from 'emojibase-data/en/compact.json?url';
import es from 'emojibase-data/es/compact.json?url';
import fr from 'emojibase-data/fr/compact.json?url';
import ja from 'emojibase-data/ja/compact.json?url';
import vi from 'emojibase-data/vi/compact.json?url';
import type { Name } from '#lib/features/conversations/mentions.ts';
import type { Locale } from '#lib/i18n/locale.ts';
import { fold } from '#lib/util/fold.ts';
import { formOf, type KeyValueStorage } from './recent-emoji.ts';

export interface Emoji {
  readonly unicode: string;
  readonly hexcode: string;
  readonly label: string;
  readonly tags?: readonly string[];
  readonly group?: number;
  /** Forms with a skin tone, from light to dark. */
  readonly skins?: readonly { readonly unicode: string }[];
}

export interface EmojiGroup {
  readonly name: string;
  readonly emoji: readonly Emoji[];
}

/** Number of the emojibase group with skin tones and hair, which aren't emoji of their own. */
const COMPONENTS = 2;
interface GroupNames {
  readonly groups: readonly { readonly message: string; readonly order: number }[];
}

/** URL of the emoji and names of the groups, by language. */
const LANGUAGES: Record<Locale, readonly [url: string, loadNames: () => Promise<{ default: GroupNames }>]> = {
  en: [en, () => import('emojibase-data/en/messages.json')],
  de: [de, () => import('emojibase-data/de/messages.json')],
  es: [es, () => import('emojibase-data/es/messages.json')],
  fr: [fr, () => import('emojibase-data/fr/messages.json')],
  ja: [ja, () => import('emojibase-data/ja/messages.json')],
  vi: [vi, () => import('emojibase-data/vi/messages.json')]
};

export async function loadEmoji(locale: Locale): Promise<EmojiGroup[]> {
  const [url, loadNames] = LANGUAGES[locale];
  const [answer, { default: names }] = await Promise.all([fetch(url), loadNames()]);
  if (!answer.ok) throw new Error(`emoji: ${answer.status}`);
  const all = ((await answer.json()) as Emoji[]).map(toServerForm);
  return names.groups
    .filter(({ order }) => order !== COMPONENTS)
    .map(({ message, order }) => ({
      name: message.charAt(0).toUpperCase() + message.slice(1),
      emoji: all.filter(({ group }) => group === order)
    }));
}

/** Converts an emoji and its skin tones to the server's form. */
export function toServerForm(emoji: Emoji): Emoji {
  const skins = emoji.skins?.map(({ unicode }) => ({ unicode: formOf(unicode) }));
  return { ...emoji, unicode: formOf(emoji.unicode), ...(skins && { skins }) };
}

/** Finds the emoji whose names contain words that start with all the typed ones. */
export function findEmoji(groups: readonly EmojiGroup[], typed: string): Emoji[] {
  const words = fold(typed).split(/\s+/).filter(Boolean);
  if (words.length === 0) return [];
  return groups.flatMap(({ emoji }) =>
    emoji.filter(({ unicode, label, tags = [] }) => {
      if (unicode === formOf(typed.trim())) return true;
      const known = fold([label, ...tags].join(' ')).split(/[\s:,]+/);
      return words.every((word) => known.some((one) => one.startsWith(word)));
    })
  );
}

/** Finds the custom emoji whose name contains the typed text. */
export function findOwn(own: readonly Name[], typed: string): Name[] {
  const wanted = fold(typed).trim().replaceAll(/^:|:$/g, '').replaceAll(/\s+/g, '_');
  return wanted === '' ? [] : own.filter(({ name }) => name.includes(wanted));
}

/** Form of an emoji with a skin tone; tone 0 is the default. */
export function withSkinTone({ unicode, skins }: Emoji, tone: number): string {
  return skins?.[tone - 1]?.unicode ?? unicode;
}

const TONE_KEY = 'natter.emoji-tone';

export function toneOf(storage: KeyValueStorage): number {
  const tone = Number(storage.getItem(TONE_KEY));
  return Number.isInteger(tone) && tone >= 0 && tone <= 5 ? tone : 0;
}

export function saveSkinTone(storage: KeyValueStorage, tone: number): void {
  storage.setItem(TONE_KEY, String(tone));
}
