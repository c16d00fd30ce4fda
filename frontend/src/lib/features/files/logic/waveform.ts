/** Number of bars of a waveform, as the server stores it. */

const BARS = 64;
const MAX_LEVEL = 255;

/** Reduces levels from 0 to 1 to the bars of a waveform, relative to the loudest one. */
export function peaksOf(levels: readonly number[]): number[] {
  const bars = Array.from({ length: BARS }, (_, bar) => {
    const from = Math.floor((bar * levels.length) / BARS);
    const to = Math.max(from + 1, Math.floor(((bar + 1) * levels.length) / BARS));
    return Math.max(0, ...levels.slice(from, to));
  });
  // Lower levels are noise, which is not amplified to the full height.
  const loudest = Math.max(0.1, ...bars);
  return bars.map((bar) => Math.round(Math.min(1, bar / loudest) * MAX_LEVEL));
}
