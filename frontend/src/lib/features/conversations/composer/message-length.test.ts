import { describe, expect, it } from 'vitest';
import { characters, remaining } from './message-length.ts';

describe('message length', () => {
  it('is counted in code points', () => {
    expect(characters('👍ơ')).toBe(2);
    expect(remaining('👍'.repeat(2_300), 5_000)).toBeNull();
  });

  it('is shown near the limit and above it', () => {
    expect(remaining('x'.repeat(4_499), 5_000)).toBeNull();
    expect(remaining('x'.repeat(4_600), 5_000)).toBe(400);
    expect(remaining('x'.repeat(5_001), 5_000)).toBe(-1);
    expect(remaining('x'.repeat(60_000), 100_000)).toBeNull();
    expect(remaining('x'.repeat(100_001), 100_000)).toBe(-1);
  });
});
