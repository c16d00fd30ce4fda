import type { ScaleLinear } from 'd3-scale';

const TARGET_TICKS = 3;

/** Ticks of an axis that starts at 0, with distinct labels. If all values are 0, only that tick. */
export function ticksOf(scale: ScaleLinear<number, number>, most: number, format: (value: number) => string): number[] {
  if (most <= 0) return [0];
  return scale
    .ticks(TARGET_TICKS)
    .filter((tick, at, all) => at === 0 || format(tick) !== format(all[at - 1] as number));
}
