import { dateFormat, daysBetween, hourCycle } from '#lib/i18n/dates.ts';
import { m } from '#lib/paraglide/messages.js';
import { today } from '#lib/util/today.ts';

/** Formats a day: “Today, Friday 20 November”, with the year if it isn't the current one. */
export function dayLabel(time: number, now = today().getTime()): string {
  const isThisYear = new Date(time).getFullYear() === new Date(now).getFullYear();
  const date = dateFormat({
    weekday: 'long',
    day: 'numeric',
    month: 'long',
    ...(isThisYear ? {} : { year: 'numeric' })
  }).format(time);
  const days = daysBetween(new Date(time), new Date(now));
  if (days === 0) return m.chat_today({ date });
  if (days === 1) return m.chat_yesterday({ date });
  return date;
}

/** Formats a day: “20 Nov”. */
export function shortDay(time: number): string {
  return dateFormat({ day: 'numeric', month: 'short' }).format(time);
}

/** Formats a date and time in full, for tooltips. */
export function fullTime(time: number): string {
  return dateFormat({ dateStyle: 'full', timeStyle: 'medium', hourCycle: hourCycle() }).format(time);
}

/** Formats a local date as in ISO 8601. */
export function isoDay(time: number): string {
  const at = new Date(time);
  return [at.getFullYear(), at.getMonth() + 1, at.getDate()].map((part) => String(part).padStart(2, '0')).join('-');
}
