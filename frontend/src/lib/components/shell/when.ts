import { m } from '#lib/paraglide/messages.js';
import { getLocale } from '#lib/paraglide/runtime.js';

const DAY = 86_400_000;

/** The app's language, as it is written where the reader lives: “20 November” in Britain, “November 20” in America. */
export function regional(): string {
  const language = getLocale();
  return navigator.languages.find((tag) => tag === language || tag.startsWith(`${language}-`)) ?? language;
}

/** When something was, as short as a list needs it: “09:52”, “Thu”, “11 Nov”, “11/11/25”. */
export function shortTime(timestamp: string, now = new Date()): string {
  const at = new Date(timestamp);
  const locale = regional();
  const days = daysBetween(at, now);
  if (days <= 0) return at.toLocaleTimeString(locale, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  if (days < 7) return at.toLocaleDateString(locale, { weekday: 'short' });
  if (at.getFullYear() === now.getFullYear()) return at.toLocaleDateString(locale, { day: 'numeric', month: 'short' });
  return at.toLocaleDateString(locale, { day: 'numeric', month: 'numeric', year: '2-digit' });
}

/** When something was, in a sentence: “3 minutes ago”, “today at 08:40”, “11 November”. */
export function longTime(timestamp: string, now = new Date()): string {
  const at = new Date(timestamp);
  const locale = regional();
  const minutes = Math.floor((now.getTime() - at.getTime()) / 60_000);
  if (minutes < 1) return m.time_now();
  if (minutes < 60) return m.time_minutes_ago({ count: minutes });
  const time = at.toLocaleTimeString(locale, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  const days = daysBetween(at, now);
  if (days <= 0) return m.time_today_at({ time });
  if (days === 1) return m.time_yesterday_at({ time });
  const isThisYear = at.getFullYear() === now.getFullYear();
  return at.toLocaleDateString(locale, { day: 'numeric', month: 'long', ...(isThisYear ? {} : { year: 'numeric' }) });
}

/** A day with its year where that is not this one: “11 November”. */
export function shortDate(timestamp: string, now = new Date()): string {
  const at = new Date(timestamp);
  const isThisYear = at.getFullYear() === now.getFullYear();
  return at.toLocaleDateString(regional(), {
    day: 'numeric',
    month: 'long',
    ...(isThisYear ? {} : { year: 'numeric' })
  });
}

/** A moment to the second, for those who compare: “20 Nov 2026, 14:52:11”. */
export function exactTime(timestamp: string): string {
  return new Date(timestamp).toLocaleString(regional(), { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' });
}

export function isPast(timestamp: string, now = new Date()): boolean {
  return Date.parse(timestamp) <= now.getTime();
}

/** How long until then: “in 4 minutes”. */
export function untilTime(timestamp: string, now = new Date()): string {
  const format = new Intl.RelativeTimeFormat(regional(), { numeric: 'always' });
  const minutes = Math.max(1, Math.round((Date.parse(timestamp) - now.getTime()) / 60_000));
  if (minutes < 90) return format.format(minutes, 'minute');
  const hours = Math.round(minutes / 60);
  return hours < 48 ? format.format(hours, 'hour') : format.format(Math.round(hours / 24), 'day');
}

function daysBetween(at: Date, now: Date): number {
  const midnight = (date: Date) => Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
  return Math.round((midnight(now) - midnight(at)) / DAY);
}
