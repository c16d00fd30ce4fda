import { describe, expect, it } from 'vitest';
import { best, rank, split } from './match.ts';

describe('rank', () => {
  it('prefers the start, then the start of a word, then the middle', () => {
    expect(rank('Release 2.4', 'rel')).toBe(0);
    expect(rank('The release', 'rel')).toBe(1);
    expect(rank('Aurelie Brunet', 'rel')).toBe(2);
    expect(rank('Quill', 'rel')).toBeUndefined();
  });

  it('ignores accents and the order of words', () => {
    expect(rank('Mai Trần', 'tran')).toBe(1);
    expect(rank('Đà Nẵng', 'da nang')).toBe(0);
    expect(rank('Mai Trần', 'tran mai')).toBe(3);
  });
});

describe('split', () => {
  it('splits at the match and keeps accents', () => {
    expect(split('Mai Trần', 'tra')).toEqual({ before: 'Mai ', match: 'Trầ', after: 'n' });
    expect(split('Aurelie', 'REL')).toEqual({ before: 'Au', match: 'rel', after: 'ie' });
  });

  it('returns the whole text without a match', () => {
    expect(split('Quill', 'zzz')).toEqual({ before: 'Quill', match: '', after: '' });
    expect(split('Quill', ' ')).toEqual({ before: 'Quill', match: '', after: '' });
  });
});

describe('best', () => {
  it('keeps the order of equal ranks and stops at the limit', () => {
    const names = ['Aurelie', 'Release', 'Relay', 'Quill'];
    expect(best(names, 'rel', (name) => name, 2)).toEqual(['Release', 'Relay']);
    expect(best(names, '', (name) => name, 2)).toEqual(['Aurelie', 'Release']);
  });
});
