import { clock } from '#lib/i18n/dates.ts';
import { m } from '#lib/paraglide/messages.js';
import { minutesAhead } from '../timezones.ts';

/** Time of day in a time zone: “15:40”. */
export function clockIn(zone: string, now: Date): string {
  return clock(now, zone);
}

/**
 * Local time of a person: “15:40 local time (2 h ahead of you)”; without the difference for the user. Undefined if the browser doesn't know the zone.
 */
export function localTime(zone: string, now: Date, isOwn = false): string | undefined {
  const ahead = minutesAhead(zone, now);
  if (ahead === undefined) return undefined;
  const time = m.local_time({ time: clockIn(zone, now) });
  if (isOwn || ahead === 0) return time;
  const difference = duration(Math.abs(ahead));
  return ahead > 0 ? m.local_time_ahead({ time, difference }) : m.local_time_behind({ time, difference });
}

/** Local time of a person for lists: “15:40 local time”; undefined if it is that of the user. */
export function localTimeElsewhere(zone: string, now: Date): string | undefined {
  return minutesAhead(zone, now) ? m.local_time({ time: clockIn(zone, now) }) : undefined;
}

function duration(minutes: number): string {
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  if (hours === 0) return m.time_minutes({ count: rest });
  return rest === 0 ? m.hours_short({ hours }) : m.hours_and_minutes({ hours, minutes: rest });
}
