import { describe, expect, it } from 'vitest';
import { collapseText, hasOwnFrame, isJumbo, isLong } from './message-style.ts';
import { parse } from '#lib/features/markdown/parse.ts';
import type { Name } from './mentions.ts';

describe('isJumbo', () => {
  it.each(['👍', '🚢🌊🎉', '👨‍👩‍👧‍👦 ❤️', '🇻🇳', '1️⃣', '👍🏽', ' 🎉 \n'])('%s is large', (text) => {
    expect(isJumbo(text)).toBe(true);
  });
  it.each(['', 'ok 👍', '1', '©', '#', '👍'.repeat(9), '👍'.repeat(2_000), '2 3'])('%s is not large', (text) => {
    expect(isJumbo(text)).toBe(false);
  });

  it.each(['ℹ️', 'Ⓜ️ ㊗️', '#️⃣*️⃣', '™️'])('emoji symbols that resemble letters are large: %s', (text) => {
    expect(isJumbo(text)).toBe(true);
  });

  const own: Name[] = ['ship_cat:', 'ship:'].map((name) => ({ id: name, name, kind: 'emoji' }));
  it.each([':ship_cat:', ':ship::ship_cat:', '🎉 :ship: 👍', ':ship:\n:ship:'])('own emoji are large: %s', (text) => {
    expect(isJumbo(text, own)).toBe(true);
  });
  it.each([':shop:', 'a :ship:', ':ship:'.repeat(9), ':ship:a'])('other texts are not large: %s', (text) => {
    expect(isJumbo(text, own)).toBe(false);
  });
});

describe('message layout', () => {
  it('shows code alone without a bubble', () => {
    expect(hasOwnFrame(parse('```ts\na\n```'))).toBe(true);
    expect(hasOwnFrame(parse('See\n```ts\na\n```'))).toBe(false);
  });

  it('folds a long message at the end of a line', () => {
    expect(collapseText('a line\n'.repeat(2_000))).toMatch(/a line…$/);
    expect(collapseText('w'.repeat(9_000))).toHaveLength(3_001);
    expect([201, 200].map((lines) => isLong(Array(lines).fill('-').join('\n')))).toEqual([true, false]);
    expect(collapseText('-\n'.repeat(2_400)).split('\n')).toHaveLength(60);
  });
});
