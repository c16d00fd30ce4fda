/** Parses the text of a reminder, such as “me in 20 minutes to call Ben”. */
import type { Chrono } from 'chrono-node';
import { casual as english } from 'chrono-node/en';
import type { Locale } from '#lib/i18n/locale.ts';

export interface ReminderRequest {
  readonly at: Date;
  readonly note: string;
}

/** Hour of the day that applies if the text contains only a date. */
const MORNING = 9;
const DAY = 86_400_000;

const ME = /^(?:me|mich|mir|moi|yo|a mí|tôi|mình)(?=\s|$)/i;
/** Words between the time and the subject of the reminder. */
const JOINS = 'to|that|about|of|zu|dass|an|über|de|que|à|pour|para|để|rằng|về|là';
const BEFORE = new RegExp(`^[\\s,:–、-]*(?:(?:${JOINS})(?=\\s)|に|、)?\\s*`, 'i');
const BEHIND = /(?:\s+(?:at|on|in|by|um|am|à|a las|el|vào|lúc))?[\s,:–、-]*$/i;

/** Readers of other languages than English. */
const READERS: Readonly<Partial<Record<Locale, () => Promise<{ casual: Chrono }>>>> = {
  de: () => import('chrono-node/de'),
  es: () => import('chrono-node/es'),
  fr: () => import('chrono-node/fr'),
  ja: () => import('chrono-node/ja'),
  vi: () => import('chrono-node/vi')
};

/** Returns the time and the subject, written in the language or in English; null if the text contains no time. */
export async function parseReminder(text: string, locale: Locale, now = new Date()): Promise<ReminderRequest | null> {
  const said = text.trim().replace(ME, '').trim();
  const own = await READERS[locale]?.();
  for (const reader of own ? [own.casual, english] : [english]) {
    const [found] = reader.parse(said, now, { forwardDate: true });
    if (!found) continue;
    const at = found.start.date();
    if (!found.start.isCertain('hour') && !/\d/.test(found.text.replace(/\d+[/.-]\d+/g, ''))) {
      at.setHours(MORNING, 0, 0, 0);
      if (at <= now) at.setTime(at.getTime() + DAY);
    }
    const before = said.slice(0, found.index).replace(BEHIND, '');
    const behind = said.slice(found.index + found.text.length);
    const note = `${before.replace(BEFORE, '')} ${behind.replace(BEFORE, '')}`.trim();
    return { at, note: note.replace(BEFORE, '') };
  }
  return null;
}
