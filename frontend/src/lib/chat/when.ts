import { m } from '#lib/paraglide/messages.js';
import { getLocale } from '#lib/paraglide/runtime.js';

const formats = new Map<string, Intl.DateTimeFormat>();

/** “09:52” */
export function clock(time: number): string {
  return format({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(time);
}

/** “Today, Friday 20 November”, and with its year when that is another one. */
export function dayLabel(time: number, now = Date.now()): string {
  const isThisYear = new Date(time).getFullYear() === new Date(now).getFullYear();
  const date = format({
    weekday: 'long',
    day: 'numeric',
    month: 'long',
    ...(isThisYear ? {} : { year: 'numeric' })
  }).format(time);
  const days = daysBetween(time, now);
  if (days === 0) return m.chat_today({ date });
  if (days === 1) return m.chat_yesterday({ date });
  return date;
}

/** “20 Nov” */
export function shortDay(time: number): string {
  return format({ day: 'numeric', month: 'short' }).format(time);
}

/** The whole of it, for a title. */
export function fullTime(time: number): string {
  return format({ dateStyle: 'full', timeStyle: 'medium' }).format(time);
}

/** A date for a machine, where the reader is. */
export function isoDay(time: number): string {
  const at = new Date(time);
  return [at.getFullYear(), at.getMonth() + 1, at.getDate()].map((part) => String(part).padStart(2, '0')).join('-');
}

function daysBetween(time: number, now: number): number {
  const midnight = (moment: number) => {
    const date = new Date(moment);
    return Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
  };
  return Math.round((midnight(now) - midnight(time)) / 86_400_000);
}

function format(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = getLocale() + JSON.stringify(options);
  let made = formats.get(key);
  if (!made) formats.set(key, (made = new Intl.DateTimeFormat(getLocale() === 'en' ? 'en-GB' : getLocale(), options)));
  return made;
}
