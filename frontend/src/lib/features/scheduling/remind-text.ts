/** Parses the text of a reminder, such as “me in 20 minutes to call Ben”. */
import { casual as english } from 'chrono-node/en';
import { casual as vietnamese } from 'chrono-node/vi';

export interface ReminderRequest {
  readonly at: Date;
  readonly note: string;
}

/** Hour of the day that applies if the text contains only a date. */
const MORNING = 9;
const DAY = 86_400_000;

const ME = /^(?:me|tôi|mình)(?=\s|$)/i;
/** Words between the time and the subject of the reminder. */
const BEFORE = /^[\s,:–-]*(?:to|that|about|of|để|rằng|về|là)?(?=\s)\s*/i;
const BEHIND = /(?:\s+(?:at|on|in|by|vào|lúc))?[\s,:–-]*$/i;

/** Returns the time and the subject; null if the text contains no time. */
export function parseReminder(text: string, locale: string, now = new Date()): ReminderRequest | null {
  const said = text.trim().replace(ME, '').trim();
  const readers = locale === 'vi' ? [vietnamese, english] : [english, vietnamese];
  for (const reader of readers) {
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
    return { at, note: note.replace(/^(?:to|that|about|để|rằng|về)\s+/i, '') };
  }
  return null;
}
