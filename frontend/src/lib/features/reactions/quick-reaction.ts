/** Recognises a message such as `+:tada:` or `+🎉`, which is not sent but reacts to the newest message. */
import { getLocale } from '#lib/i18n/locale.ts';
import { persistentStorage } from '#lib/util/browser-storage.ts';
import { formOf } from '#lib/features/emoji/recent-emoji.ts';
import { findByShortCode, loadNames } from '#lib/features/emoji/emoji-names.ts';
import type { Name } from '#lib/features/conversations/mentions.ts';

const TYPED = /^\+(?:(\p{RGI_Emoji})|:([\p{L}\p{M}\p{N}_+\-]{2,30}):?)$/v;

/** Returns the emoji of such a message in the server's form; null for other messages and unknown names. */
export async function quickEmoji(text: string, own: readonly Name[]): Promise<string | null> {
  const [, emoji, name] = TYPED.exec(formOf(text.trim())) ?? [];
  if (emoji || !name) return emoji ?? null;
  if (own.some((one) => one.name === `${name}:`)) return `:${name}:`;
  return findByShortCode(await loadNames(getLocale()), name, persistentStorage) ?? null;
}
