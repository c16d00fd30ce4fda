/** Waveform with the number of bars that the server stores. */

const BARS = 64;
const MAX_ITEMS = 255;

/** Resamples levels from 0 to 1 and normalises them to the loudest. */
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
