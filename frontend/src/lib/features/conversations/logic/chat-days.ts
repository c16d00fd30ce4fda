/** Groups of chats by the day of their last activity. */
import { dateFormat, daysBetween } from '#lib/i18n/dates.ts';
import type { Conversation } from '#lib/api/types.ts';
import { m } from '#lib/paraglide/messages.js';

export interface ChatDay {
  /** Key of the group, unique within the list. */
  readonly key: string;
  readonly label: string;
  readonly items: readonly Conversation[];
}

/** Groups chats, most recently active first: today, yesterday, the previous 7 and 30 days, and then each month. */
export function chatDays(chats: readonly Conversation[], now: Date): ChatDay[] {
  const groups = new Map<string, { label: string; items: Conversation[] }>();
  for (const chat of chats) {
    const [key, label] = dayOf(new Date(chat.last_activity_at), now);
    const group = groups.get(key);
    if (group) group.items.push(chat);
    else groups.set(key, { label, items: [chat] });
  }
  return [...groups].map(([key, group]) => ({ key, ...group }));
}

function dayOf(at: Date, now: Date): [key: string, label: string] {
  const days = daysBetween(at, now);
  if (days <= 0) return ['today', m.chats_today()];
  if (days === 1) return ['yesterday', m.chats_yesterday()];
  if (days <= 7) return ['week', m.chats_previous_week()];
  if (days <= 30) return ['month', m.chats_previous_month()];
  const isThisYear = at.getFullYear() === now.getFullYear();
  const label = dateFormat({ month: 'long', ...(isThisYear ? {} : { year: 'numeric' }) }).format(at);
  return [`${at.getFullYear()}-${at.getMonth()}`, label];
}
