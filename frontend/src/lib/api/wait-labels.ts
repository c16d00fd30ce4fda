import { m } from '#lib/paraglide/messages.js';

/** Returns a short duration for use in sentences: “8 s”, “3 min”. */
export function waitText(seconds: number): string {
  return seconds < 90
    ? m.time_seconds({ count: Math.ceil(seconds) })
    : m.time_minutes({ count: Math.ceil(seconds / 60) });
}

/** Returns the label of a button that is disabled for the given time. */
export function waitLabel(seconds: number): string {
  return m.auth_wait({ wait: waitText(seconds) });
}
