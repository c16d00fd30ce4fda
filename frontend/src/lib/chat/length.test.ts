import { describe, expect, it } from 'vitest';
import { characters, remaining } from './length.ts';

describe('the length of a message', () => {
  it('is counted in characters', () => {
    expect(characters('👍ơ')).toBe(2);
    expect(remaining('👍'.repeat(2_300))).toBeNull();
  });

  it('is said near its end, and beyond', () => {
    expect(remaining('x'.repeat(4_499))).toBeNull();
    expect(remaining('x'.repeat(4_600))).toBe(400);
    expect(remaining('x'.repeat(5_001))).toBe(-1);
  });
});
