import { expect, it } from 'vitest';
import { emojiName } from './emoji-picture.ts';

it('names an emoji by its file', () => {
  expect(emojiName('Party Cat (2).png')).toBe('party_cat_2');
  expect(emojiName('Mèo đen.GIF')).toBe('meo_den');
  expect(emojiName('.png')).toBe('');
  expect(emojiName('x'.repeat(40))).toHaveLength(32);
});
