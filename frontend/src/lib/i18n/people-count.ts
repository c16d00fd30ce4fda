import { number } from '#lib/i18n/numbers.ts';
import { m } from '#lib/paraglide/messages.js';

/** Formats a number of people: “3 people”, “1 person”. */
export function peopleCount(count: number): string {
  return count === 1 ? m.people_count_one() : m.people_count({ count: number(count) });
}
