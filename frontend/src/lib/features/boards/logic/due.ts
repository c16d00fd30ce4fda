import { clock, dateFormat, daysBetween, regionalLocale } from '#lib/i18n/dates.ts';
import { thisMinute } from '#lib/util/clock.ts';

/** Formats a due date briefly: “Today, 17:00”, “Tomorrow, 09:00”, “Fri, 09:00”, “24 Nov”. */
export function dueLabel(timestamp: string, now = new Date()): string {
  const at = new Date(timestamp);
  const locale = regionalLocale();
  const days = daysBetween(now, at);
  const time = clock(at);
  if (Math.abs(days) <= 1) {
    const word = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }).format(days, 'day');
    return `${word.charAt(0).toLocaleUpperCase(locale)}${word.slice(1)}, ${time}`;
  }
  if (days > 1 && days < 7) return `${dateFormat({ weekday: 'short' }).format(at)}, ${time}`;
  const isThisYear = at.getFullYear() === now.getFullYear();
  return dateFormat({ day: 'numeric', month: 'short', ...(isThisYear ? {} : { year: 'numeric' }) }).format(at);
}

export function isLate(timestamp: string | null, now = thisMinute().getTime()): boolean {
  return timestamp !== null && Date.parse(timestamp) < now;
}

/** Converts a timestamp to the value of a `datetime-local` field. */
export function toField(timestamp: string | null): string {
  if (timestamp === null) return '';
  const at = new Date(timestamp);
  const two = (number: number) => String(number).padStart(2, '0');
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${date}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** Converts the value of a `datetime-local` field to a timestamp; null if it is empty. */
export function fromField(value: string): string | null {
  const at = new Date(value);
  return Number.isNaN(at.getTime()) ? null : at.toISOString();
}
