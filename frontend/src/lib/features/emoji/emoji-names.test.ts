import { expect, it } from 'vitest';
import { findByShortCode, suggestEmoji, type EmojiNames } from './emoji-names.ts';

const emoji = (unicode: string, label: string, names: string[], tags: string[] = []) => ({
  emoji: { unicode, label, tags, hexcode: '' },
  names
});
const ALL: EmojiNames = [
  emoji('😄', 'grinning face with smiling eyes', ['smile']),
  emoji('😃', 'grinning face with big eyes', ['smiley']),
  emoji('🎉', 'party popper', ['tada'], ['celebration']),
  emoji('🥳', 'partying face', ['partying_face']),
  emoji('🙂', 'mặt cười', [])
];
const storage = { getItem: () => null, setItem: () => undefined } as unknown as Storage;
const shown = (typed: string, most = 5) => suggestEmoji(ALL, typed, most, storage).map(({ emoji }) => emoji);

it('finds emoji by short name first, then by keyword', () => {
  expect(shown('smile')).toEqual(['😄', '😃']);
  expect(shown('tad')).toEqual(['🎉']);
  expect(shown('celeb')).toEqual(['🎉']);
  expect(shown('face')[0]).toBe('🥳');
  expect(shown('cuoi')).toEqual(['🙂']);
  expect(shown('smi', 1)).toEqual(['😄']);
  expect(shown('xyz')).toEqual([]);
});

it('finds an emoji by its exact name', () => {
  expect(findByShortCode(ALL, 'Tada', storage)).toBe('🎉');
  expect(findByShortCode(ALL, 'tad', storage)).toBeUndefined();
});
