import { describe, expect, it } from 'vitest';
import { unsentText } from './unsent-text.ts';

describe('typedOn', () => {
  it('returns the text typed after the sent text', () => {
    expect(unsentText('See you at nine', 'See you at nine')).toBe('');
    expect(unsentText('See you at nine\nAnd bring', 'See you at nine')).toBe('And bring');
  });

  it('returns the whole text if it was replaced', () => {
    expect(unsentText('Never mind', 'See you at nine')).toBe('Never mind');
  });
});
