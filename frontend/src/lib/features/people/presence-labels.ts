import type { PresenceStatus } from '#lib/api/types.ts';
import { nameIn } from '#lib/util/enum-lookup.ts';
import { m } from '#lib/paraglide/messages.js';

const WORDS: Record<PresenceStatus, () => string> = {
  online: m.presence_online,
  away: m.presence_away,
  dnd: m.presence_dnd,
  offline: m.presence_offline
};

/** Label of a presence; undefined if it is unknown. */
export function presenceLabel(status: PresenceStatus | undefined): string {
  return status ? nameIn(WORDS, status) : '';
}
