/** Days in UTC, by which the server counts usage. */
import type { UsageGroup } from '../api.ts';
import { regionalLocale } from '#lib/i18n/dates.ts';

export type Range = 'week' | 'days' | 'month';

const DAY = 86_400_000;

/** Date of a day, such as `2026-11-23`. */
export type Day = string;

/** Days of a period that ends today. */
export function daysOf(range: Range, now = Date.now()): Day[] {
  const today = Math.floor(now / DAY);
  const date = new Date(now);
  const count = range === 'week' ? 7 : range === 'days' ? 30 : date.getUTCDate();
  return Array.from({ length: count }, (_, at) => dayOf((today - count + 1 + at) * DAY));
}

/** Following day, as the exclusive end of a period. */
export function nextDay(day: Day): Day {
  return dayOf(Date.parse(day) + DAY);
}

/** Usage of each of the days; days without usage are filled with zeros. */
export function fillDays(days: readonly Day[], groups: readonly UsageGroup[]): UsageGroup[] {
  const known = new Map(groups.map((group) => [group.key, group]));
  return days.map((day) => known.get(day) ?? { ...NOTHING, key: day });
}

export const NOTHING: UsageGroup = {
  key: '',
  requests: 0,
  failed: 0,
  input_tokens: 0,
  cached_tokens: 0,
  output_tokens: 0,
  cost: 0
};

export function sum(groups: readonly UsageGroup[]): UsageGroup {
  return groups.reduce(
    (all, group) => ({
      key: '',
      requests: all.requests + group.requests,
      failed: all.failed + group.failed,
      input_tokens: all.input_tokens + group.input_tokens,
      cached_tokens: all.cached_tokens + group.cached_tokens,
      output_tokens: all.output_tokens + group.output_tokens,
      cost: all.cost + group.cost
    }),
    NOTHING
  );
}

/** Formats a day: “12 Nov”. */
export function shortDay(day: Day): string {
  return format(day, { day: 'numeric', month: 'short' });
}

/** Formats a day: “Thursday 12 November”. */
export function longDay(day: Day): string {
  return format(day, { weekday: 'long', day: 'numeric', month: 'long' });
}

/** Name of the month: “November”. */
export function monthOf(day: Day): string {
  const name = format(day, { month: 'long' });
  return name.charAt(0).toLocaleUpperCase() + name.slice(1);
}

function format(day: Day, options: Intl.DateTimeFormatOptions): string {
  return new Date(day).toLocaleDateString(regionalLocale(), { ...options, timeZone: 'UTC' });
}

function dayOf(time: number): Day {
  return new Date(time).toISOString().slice(0, 10);
}
