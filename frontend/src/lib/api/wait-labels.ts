import { m } from '#lib/paraglide/messages.js';

/** “8 s”, “3 min”: short, because it stands in a sentence. */
export function waitText(seconds: number): string {
  return seconds < 90
    ? m.time_seconds({ count: Math.ceil(seconds) })
    : m.time_minutes({ count: Math.ceil(seconds / 60) });
}

/** On a button that works again in a while. */
export function waitLabel(seconds: number): string {
  return m.auth_wait({ wait: waitText(seconds) });
}
