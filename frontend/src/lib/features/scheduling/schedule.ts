/** Schedules messages from the composer, and suggests times. */
import { clock, dateFormat, daysBetween } from '#lib/i18n/dates.ts';
import { today } from '#lib/util/today.ts';
import { m } from '#lib/paraglide/messages.js';
import type { OutgoingFiles } from '#lib/features/files/attachments.svelte.ts';
import { toast } from '#lib/ui/toast/toast.svelte.ts';
import type { AttachedFile } from '#lib/realtime/pending-attachments.ts';
import type { ConversationView } from '#lib/features/conversations/conversation-view.svelte.ts';
import { senderOf } from '#lib/features/conversations/message-sender.svelte.ts';

/** Waits until the files of a draft are uploaded and schedules it. */
export async function scheduleDraft(
  conversationView: ConversationView,
  content: string,
  taken: readonly AttachedFile[],
  at: string,
  files: OutgoingFiles
): Promise<void> {
  const ids = taken.length > 0 ? await files.deliver(taken) : [];
  const { send_at } = await senderOf(conversationView).schedule(content, ids, at);
  files.sent(taken);
  toast(m.schedule_done({ time: momentOf(send_at) }));
}

/** Hour at which the working day starts. */
const MORNING = 9;
const HOUR = 3_600_000;

export interface Offer {
  readonly label: string;
  readonly at: Date;
}

/** Times that are suggested, nearest first. */
export function suggestedTimes(now = new Date()): Offer[] {
  const hour = new Date(now.getTime() + HOUR);
  const tomorrow = morning(now, 1);
  const untilMonday = (8 - now.getDay()) % 7 || 7;
  const monday = morning(now, untilMonday);
  return [
    { label: m.later_hour(), at: hour },
    { label: m.later_tomorrow(), at: tomorrow },
    ...(untilMonday > 1 ? [{ label: m.later_monday(), at: monday }] : [])
  ];
}

function morning(now: Date, days: number): Date {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + days, MORNING);
}

/** Formats a date and time: “today at 09:00”, “Tue, 24 November, 09:00”. */
export function momentOf(at: string | Date, now = today()): string {
  const date = new Date(at);
  if (daysBetween(date, now) === 0) return m.time_today_at({ time: clock(date) });
  // Date and time are formatted separately, because some locales insert a word between them.
  const day = dateFormat({ weekday: 'short', day: 'numeric', month: 'long' }).format(date);
  return `${day}, ${clock(date)}`;
}

/** Converts a time to the value of a `datetime-local` field. */
export function toFieldValue(at: Date): string {
  const local = new Date(at.getTime() - at.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}
