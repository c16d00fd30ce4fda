/** Waveform with the number of bars that the server stores. */

const BARS = 64;
const MAX_LEVEL = 255;

/** Resamples levels from 0 to 1 and normalises them to the loudest. */
export function peaksOf(levels: readonly number[]): number[] {
  const bars = Array.from({ length: BARS }, (_, bar) => {
    const from = Math.floor((bar * levels.length) / BARS);
    const to = Math.max(from + 1, Math.floor(((bar + 1) * levels.length) / BARS));
    return Math.max(0, ...levels.slice(from, to));
  });
  // Noise floor: lower levels are not amplified.
  const loudest = Math.max(0.1, ...bars);
  return bars.map((bar) => Math.round(Math.min(1, bar / loudest) * MAX_LEVEL));
}
