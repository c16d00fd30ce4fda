import type { ScaleLinear } from 'd3-scale';

const ABOUT = 3;

/** Where an axis from 0 has its lines: none twice, as people read them, and only the base where there is nothing. */
export function ticksOf(scale: ScaleLinear<number, number>, most: number, format: (value: number) => string): number[] {
  if (most <= 0) return [0];
  return scale.ticks(ABOUT).filter((tick, at, all) => at === 0 || format(tick) !== format(all[at - 1] as number));
}
