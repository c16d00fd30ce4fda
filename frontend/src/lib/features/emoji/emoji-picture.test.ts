import { expect, it } from 'vitest';
import { emojiName } from './emoji-picture.ts';

it('derives an emoji name from a file name', () => {
  expect(emojiName('Party Cat (2).png')).toBe('party_cat_2');
  expect(emojiName('Mèo đen.GIF')).toBe('meo_den');
  expect(emojiName('.png')).toBe('');
  expect(emojiName('x'.repeat(40))).toHaveLength(32);
});
