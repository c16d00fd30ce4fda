import { describe, expect, it } from 'vitest';
import { peaksOf } from './waveform.ts';

describe('waveform', () => {
  it('has 64 bars from 0 to 255, the loudest at full height', () => {
    const peaks = peaksOf(Array.from({ length: 1_000 }, (_, at) => at / 2_000));
    expect(peaks).toHaveLength(64);
    expect(Math.max(...peaks)).toBe(255);
    expect(peaks).toEqual(peaks.toSorted((a, b) => a - b));
  });

  it('exists for a very short recording and for silence', () => {
    expect(peaksOf([0.5]).every((peak) => peak === 255)).toBe(true);
    expect(peaksOf([])).toEqual(Array.from({ length: 64 }, () => 0));
    expect(Math.max(...peaksOf([0.001, 0.002]))).toBeLessThan(10);
  });
});
