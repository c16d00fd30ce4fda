/** The wave form of a recording: as many bars as the server keeps, of what was heard. */

const BARS = 64;
const MAX_ITEMS = 255;

/** From levels between 0 and 1, however many there are; the loudest one fills its bar. */
export function peaksOf(levels: readonly number[]): number[] {
  const bars = Array.from({ length: BARS }, (_, bar) => {
    const from = Math.floor((bar * levels.length) / BARS);
    const to = Math.max(from + 1, Math.floor(((bar + 1) * levels.length) / BARS));
    return Math.max(0, ...levels.slice(from, to));
  });
  // A silence is no noise: below this nothing is made louder.
  const loudest = Math.max(0.1, ...bars);
  return bars.map((bar) => Math.round(Math.min(1, bar / loudest) * MAX_ITEMS));
}
