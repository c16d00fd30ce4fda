import type { ScaleLinear } from 'd3-scale';

const ABOUT = 3;

/** Readable, distinct ticks of an axis that starts at 0; only the base line if all values are 0. */
export function ticksOf(scale: ScaleLinear<number, number>, most: number, format: (value: number) => string): number[] {
  if (most <= 0) return [0];
  return scale.ticks(ABOUT).filter((tick, at, all) => at === 0 || format(tick) !== format(all[at - 1] as number));
}
