import { describe, expect, it } from 'vitest';
import { isComposing } from './composing.ts';

describe('a key', () => {
  it('belongs to an input method while that puts a character together, and where it ends that', () => {
    expect(isComposing({ isComposing: true, keyCode: 13 })).toBe(true);
    expect(isComposing({ isComposing: false, keyCode: 229 })).toBe(true);
    expect(isComposing({ isComposing: false, keyCode: 13 })).toBe(false);
  });
});
