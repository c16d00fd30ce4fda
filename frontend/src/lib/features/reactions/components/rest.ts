import { m } from '#lib/paraglide/messages.js';
import { peopleCount } from '#lib/i18n/people-count.ts';

/** Those whose names aren’t known: “3 people”, or “3 more” beside names. */
export function restOf(count: number, isBesideNames: boolean): string {
  if (isBesideNames) return m.reaction_more({ count });
  return peopleCount(count);
}
