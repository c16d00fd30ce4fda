import type { Own } from '#lib/api/types.ts';
import type { OwnChange, OwnSettings } from '#lib/features/channels/api.ts';

/** Settings that result from a change, as far as they are known before the server answers. */
export function settingsAfterChange({ notify, ...change }: OwnChange): Partial<OwnSettings> {
  if (notify === undefined) return change;
  return notify === null ? { ...change, notify_chosen: false } : { ...change, notify, notify_chosen: true };
}

/** Values to restore after a change was rejected. Settings that something else has changed since are left out. */
export function settingsToRevert(change: Partial<OwnSettings>, before: Own, now: Own): Partial<OwnSettings> {
  const standing = (Object.keys(change) as (keyof OwnSettings)[]).filter((key) => now[key] === change[key]);
  return Object.fromEntries(standing.map((key) => [key, before[key]])) as Partial<OwnSettings>;
}
