import { m } from '#lib/paraglide/messages.js';

/** Delays that slow mode offers, in seconds. */
export const PAUSES = [0, 5, 10, 30, 60, 300, 900, 3_600, 21_600];

/** Formats a duration: “30 seconds”, “5 minutes”, “1 hour”. */
export function durationName(seconds: number): string {
  if (seconds % 3_600 === 0) {
    const count = seconds / 3_600;
    return count === 1 ? m.slow_hour() : m.slow_hours({ count });
  }
  if (seconds % 60 === 0) {
    const count = seconds / 60;
    return count === 1 ? m.slow_minute() : m.slow_minutes({ count });
  }
  return m.slow_seconds({ count: seconds });
}
