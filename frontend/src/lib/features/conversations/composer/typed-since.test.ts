import { describe, expect, it } from 'vitest';
import { typedOn } from './typed-since.ts';

describe('typedOn', () => {
  it('returns the text typed after the sent text', () => {
    expect(typedOn('See you at nine', 'See you at nine')).toBe('');
    expect(typedOn('See you at nine\nAnd bring', 'See you at nine')).toBe('And bring');
  });

  it('returns the whole text if it was replaced', () => {
    expect(typedOn('Never mind', 'See you at nine')).toBe('Never mind');
  });
});
