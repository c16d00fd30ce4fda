import { scaleLinear } from 'd3-scale';
import { expect, test } from 'vitest';
import { credits } from '#lib/i18n/credits.ts';
import { ticksOf } from './ticks.ts';

function labels(most: number): string[] {
  const scale = scaleLinear()
    .domain([0, most || 1])
    .nice(3);
  return ticksOf(scale, most, credits).map(credits);
}

test('labels each axis tick differently', () => {
  expect(labels(0)).toEqual(['0']);
  expect(labels(3)).toEqual(['0', '< 0.001']);
  expect(labels(3_000_000)).toEqual(['0', '1', '2', '3']);
});
