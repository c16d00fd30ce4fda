import { m } from '#lib/paraglide/messages.js';
import { peopleCount } from '#lib/i18n/people-count.ts';

/** Text about people whose names aren't listed: “3 people”, or “3 more” after names. */
export function remainingPeople(count: number, isBesideNames: boolean): string {
  if (isBesideNames) return m.reaction_more({ count });
  return peopleCount(count);
}
