import { describe, expect, it } from 'vitest';
import { shortcutKey } from './key-letter.ts';

describe('shortcutKey', () => {
  it.each([
    ['k', 'KeyK', 'k'],
    ['K', 'KeyK', 'k'],
    // Dvorak: the character counts, not its place.
    ['k', 'KeyV', 'k'],
    ['л', 'KeyK', 'k'],
    ['κ', 'KeyK', 'k'],
    ['ל', 'KeyK', 'k'],
    ['ن', 'KeyK', 'k'],
    ['+', 'Equal', '+'],
    ['é', 'Digit2', 'é'],
    ['Delete', 'Delete', 'Delete']
  ])('is the letter of %s at %s', (key, code, expected) => {
    expect(shortcutKey({ key, code })).toBe(expected);
  });
});
