import fc from '#lib/util/property-testing.ts';
import { describe, expect, it } from 'vitest';
import { fold } from './fold.ts';
import cases from './folded.txt?raw';

describe('fold', () => {
  // The server's tests run the same cases. Each line contains a folded name and its spellings.
  it.each(cases.trim().split('\n'))('%s', (line) => {
    const [folded, ...names] = line.split(' = ');
    for (const name of names) expect(fold(name)).toBe(folded);
  });

  it('is idempotent', () => {
    const letter = fc.constantFrom(...'aÀĐłßẞİıΣςЁأ佐ガ한ก🎉’“– \u0301\u0323\u200d\uff76\uff9e');
    fc.assert(
      fc.property(fc.string({ unit: letter }), (text) => {
        expect(fold(fold(text))).toBe(fold(text));
        expect(fold(text.normalize('NFD'))).toBe(fold(text.normalize('NFC')));
      })
    );
  });

  it('distinguishes letters and symbols', () => {
    expect(fold('か')).not.toBe(fold('が'));
    expect(fold('🎉')).not.toBe(fold('🚀'));
  });
});
