import type { SearchDayFacet } from '../api.ts';

const DAY = 86_400_000;
const MAX_BARS = 12;
/** Possible lengths of a bar in days: day, week, month, quarter, year, five years. */
const LENGTHS = [1, 7, 30, 91, 365, 1826];

/** Number of days in local time since 1970. */
function dayOf(moment: number): number {
  const local = new Date(moment);
  return Math.round(Date.UTC(local.getFullYear(), local.getMonth(), local.getDate()) / DAY);
}

/** Divides the time from the first hit until now into bars of equal length and counts the hits of each. There are at most twelve. */
export function spans(days: readonly SearchDayFacet[], now = Date.now()): { from: number; count: number }[] {
  const counted = days.map(({ begins_at, count }) => ({ day: dayOf(Date.parse(begins_at)), count }));
  const first = counted[0]?.day;
  if (first === undefined) return [];
  const last = Math.max(dayOf(now), counted.at(-1)?.day ?? first);
  const length =
    LENGTHS.find((one) => (last - first + 1) / one <= MAX_BARS) ?? Math.ceil((last - first + 1) / MAX_BARS);
  const bars = Array.from({ length: Math.ceil((last - first + 1) / length) }, (_, index) => ({
    from: new Date(1970, 0, 1 + first + index * length).getTime(),
    count: 0
  }));
  for (const { day, count } of counted) {
    const bar = bars[Math.floor((day - first) / length)];
    if (bar) bar.count += count;
  }
  return bars;
}
