import { describe, expect, it } from 'vitest';
import { peaksOf } from './waveform.ts';

describe('a wave form', () => {
  it('has 64 bars of 0 to 255, the loudest of which is full', () => {
    const peaks = peaksOf(Array.from({ length: 1_000 }, (_, at) => at / 2_000));
    expect(peaks).toHaveLength(64);
    expect(Math.max(...peaks)).toBe(255);
    expect(peaks).toEqual(peaks.toSorted((a, b) => a - b));
  });

  it('is there for a recording of a moment, and for silence', () => {
    expect(peaksOf([0.5]).every((peak) => peak === 255)).toBe(true);
    expect(peaksOf([])).toEqual(Array.from({ length: 64 }, () => 0));
    expect(Math.max(...peaksOf([0.001, 0.002]))).toBeLessThan(10);
  });
});
