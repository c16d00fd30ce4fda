/** Parsers for the arguments of slash commands. */
import { clock, shortDate } from '#lib/i18n/dates.ts';

const MINUTE = 60_000;
const UNITS: Readonly<Record<string, number>> = { m: MINUTE, h: 60 * MINUTE, d: 1_440 * MINUTE };
/** Longest duration that a command accepts: a year, in milliseconds. */
export const MAX_DURATION = 366 * 1_440 * MINUTE;
const EMOJI = /^(\p{RGI_Emoji})\s*([\s\S]*)$/v;

/** Parses a duration such as “30m”, “2 h” or “1d” into milliseconds; a bare number means minutes. Null if invalid. */
export function lengthOf(text: string): number | null {
  const [, count, unit = 'm'] = /^(\d{1,6})\s*(m|h|d)?(?:in|ours?|ays?|inutes?)?$/i.exec(text.trim()) ?? [];
  const length = Number(count) * (UNITS[unit.toLowerCase()] ?? MINUTE);
  return length > 0 && length <= MAX_DURATION ? length : null;
}

/** Words that end a command’s effect, in the languages of the app. */
const OFF = ['off', 'clear', 'aus', 'apagar', 'no', 'désactiver', 'non', 'オフ', 'tắt', 'xóa'];
export const isOff = (text: string): boolean => OFF.includes(text.trim().toLowerCase());

/** Splits a text such as “🌴 On holiday” into the emoji and the rest; either may be null. */
export function splitEmoji(text: string): { emoji: string | null; text: string | null } {
  const [, emoji, rest] = EMOJI.exec(text.trim()) ?? [];
  return emoji ? { emoji, text: rest || null } : { emoji: null, text: text.trim() || null };
}

/** Formats a time, with the date if it isn't today. */
export function untilWords(at: string): string {
  const date = new Date(at);
  const isSoon = date.getTime() - Date.now() < 1_440 * MINUTE;
  return isSoon ? clock(date) : `${shortDate(at)}, ${clock(date)}`;
}
