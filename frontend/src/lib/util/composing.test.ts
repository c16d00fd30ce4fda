import { describe, expect, it } from 'vitest';
import { isComposing } from './composing.ts';

describe('isComposing', () => {
  it('is true while an input method composes a character, and for the key that ends it', () => {
    expect(isComposing({ isComposing: true, keyCode: 13 })).toBe(true);
    expect(isComposing({ isComposing: false, keyCode: 229 })).toBe(true);
    expect(isComposing({ isComposing: false, keyCode: 13 })).toBe(false);
  });
});
