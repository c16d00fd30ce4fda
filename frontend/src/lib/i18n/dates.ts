import { thisMinute } from '#lib/util/clock.ts';
import { m } from '#lib/paraglide/messages.js';
import { getLocale } from '#lib/i18n/locale.ts';
import { today } from '#lib/util/today.ts';

const HOUR = 3_600_000;
const DAY = 86_400_000;

const formats = new Map<string, Intl.DateTimeFormat>();

/** Locale with the language of the app and the region of the reader: “20 November” in Britain, “November 20” in America. */
export function regionalLocale(): string {
  const language = getLocale();
  return navigator.languages.find((tag) => tag === language || tag.startsWith(`${language}-`)) ?? language;
}

/** Formatter with these options. Formatters are cached, because a page formats many dates. */
export function dateFormat(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const locale = regionalLocale();
  const key = locale + JSON.stringify(options);
  let made = formats.get(key);
  if (!made) formats.set(key, (made = new Intl.DateTimeFormat(locale, options)));
  return made;
}

const cycles = new Map<string | undefined, Intl.DateTimeFormatOptions['hourCycle']>();

/** Hour cycle of the reader's region, regardless of the language of the app. */
export function hourCycle(): Intl.DateTimeFormatOptions['hourCycle'] {
  const place = navigator.languages[0];
  if (!cycles.has(place))
    cycles.set(place, new Intl.DateTimeFormat(place, { hour: 'numeric' }).resolvedOptions().hourCycle);
  return cycles.get(place);
}

function clockFormat(timeZone?: string): Intl.DateTimeFormat {
  const cycle = hourCycle();
  const hour = cycle === 'h11' || cycle === 'h12' ? 'numeric' : '2-digit';
  return dateFormat({ hour, minute: '2-digit', hourCycle: cycle, timeZone });
}

/** Formats a time of day: “09:52”, “9:52 AM”. */
export function clock(time: number | Date, timeZone?: string): string {
  return clockFormat(timeZone).format(time);
}

/** Formats a time of day without AM or PM: “09:52”, “9:52”. */
export function bareClock(time: number): string {
  const parts = clockFormat().formatToParts(time);
  return parts
    .filter(({ type }) => type !== 'dayPeriod')
    .map(({ value }) => value)
    .join('')
    .trim();
}

/** Formats a time for lists, as short as possible: “09:52”, “Thu”, “11 Nov”, “11/11/25”. */
export function shortTime(timestamp: string, now = today()): string {
  const at = new Date(timestamp);
  const locale = regionalLocale();
  const days = daysBetween(at, now);
  if (days <= 0) return clock(at);
  if (days < 7) return at.toLocaleDateString(locale, { weekday: 'short' });
  if (at.getFullYear() === now.getFullYear()) return at.toLocaleDateString(locale, { day: 'numeric', month: 'short' });
  return at.toLocaleDateString(locale, { day: 'numeric', month: 'numeric', year: '2-digit' });
}

/** Formats a time for sentences: “3 minutes ago”, “today at 08:40”, “11 November”. */
export function longTime(timestamp: string, now = nowFor(timestamp)): string {
  const at = new Date(timestamp);
  const locale = regionalLocale();
  const minutes = Math.floor((now.getTime() - at.getTime()) / 60_000);
  if (minutes < 1) return m.time_now();
  if (minutes < 60) return m.time_minutes_ago({ count: minutes });
  const time = clock(at);
  const days = daysBetween(at, now);
  if (days <= 0) return m.time_today_at({ time });
  if (days === 1) return m.time_yesterday_at({ time });
  const isThisYear = at.getFullYear() === now.getFullYear();
  return at.toLocaleDateString(locale, { day: 'numeric', month: 'long', ...(isThisYear ? {} : { year: 'numeric' }) });
}

/** Current time, which is reactive: within the first hour after the timestamp it changes every minute, later every day. */
const nowFor = (timestamp: string) => (Date.now() - Date.parse(timestamp) < HOUR ? thisMinute() : today());

/** Formats a date, with the year if it isn't the current one: “11 November”. */
export function shortDate(timestamp: string, now = new Date()): string {
  const at = new Date(timestamp);
  const isThisYear = at.getFullYear() === now.getFullYear();
  return at.toLocaleDateString(regionalLocale(), {
    day: 'numeric',
    month: 'long',
    ...(isThisYear ? {} : { year: 'numeric' })
  });
}

/** Formats a time exactly: “20 Nov 2026, 14:52:11”. */
export function exactTime(timestamp: string): string {
  return dateFormat({ dateStyle: 'medium', timeStyle: 'medium', hourCycle: hourCycle() }).format(new Date(timestamp));
}

export function isPast(timestamp: string, now = thisMinute()): boolean {
  return Date.parse(timestamp) <= now.getTime();
}

/** Formats the remaining time: “in 4 minutes”. */
export function untilTime(timestamp: string, now = thisMinute()): string {
  const format = new Intl.RelativeTimeFormat(regionalLocale(), { numeric: 'always' });
  const minutes = Math.max(1, Math.round((Date.parse(timestamp) - now.getTime()) / 60_000));
  if (minutes < 90) return format.format(minutes, 'minute');
  const hours = Math.round(minutes / 60);
  return hours < 48 ? format.format(hours, 'hour') : format.format(Math.round(hours / 24), 'day');
}

/** Number of midnights between two times in the reader's time zone. */
export function daysBetween(from: Date, to: Date): number {
  const midnight = (date: Date) => Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
  return Math.round((midnight(to) - midnight(from)) / DAY);
}
