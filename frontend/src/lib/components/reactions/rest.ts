import { m } from '#lib/paraglide/messages.js';

/** Those whose names aren’t known: “3 people”, or “3 more” beside names. */
export function restOf(count: number, isBesideNames: boolean): string {
  if (isBesideNames) return m.reaction_more({ count });
  return count === 1 ? m.people_count_one() : m.people_count({ count });
}
