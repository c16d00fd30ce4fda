import { describe, expect, it } from 'vitest';
import { typedOn } from './typed-since.ts';

describe('what is typed on', () => {
  it('is what came behind what was handed over', () => {
    expect(typedOn('See you at nine', 'See you at nine')).toBe('');
    expect(typedOn('See you at nine\nAnd bring', 'See you at nine')).toBe('And bring');
  });

  it('is all of it where something else was written instead', () => {
    expect(typedOn('Never mind', 'See you at nine')).toBe('Never mind');
  });
});
