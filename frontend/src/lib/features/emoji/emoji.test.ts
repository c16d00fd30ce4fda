import { expect, it } from 'vitest';
import list from 'emojibase-data/en/compact.json?raw';
import { findEmoji, findOwn, saveSkinTone, toServerForm, withSkinTone, toneOf, type Emoji } from './emoji.ts';
import { formOf, recentEmoji, saveRecentEmoji } from './recent-emoji.ts';

const WAVE = {
  unicode: '👋',
  hexcode: '1F44B',
  label: 'waving hand',
  tags: ['bye'],
  skins: [{ unicode: '👋🏻' }, { unicode: '👋🏼' }]
};
const FISH = { unicode: '🐟', hexcode: '1F41F', label: 'con cá', tags: ['đại dương'] };
const GROUPS = [{ name: 'All', emoji: [WAVE, FISH] }];

function storage() {
  const kept = new Map<string, string>();
  return {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value)
  };
}

it('finds emoji by the start of each word, with or without accents', () => {
  expect(findEmoji(GROUPS, 'hand wav')).toEqual([WAVE]);
  expect(findEmoji(GROUPS, 'BYE')).toEqual([WAVE]);
  expect(findEmoji(GROUPS, 'ca')).toEqual([FISH]);
  expect(findEmoji(GROUPS, 'dai dương')).toEqual([FISH]);
  expect(findEmoji(GROUPS, '🐟')).toEqual([FISH]);
  expect(findEmoji(GROUPS, 'and')).toEqual([]);
  expect(findEmoji(GROUPS, ' ')).toEqual([]);
});

it('keeps recent emoji once each, and the skin tone', () => {
  const store = storage();
  expect(recentEmoji(store)[0]).toBe('👍');
  for (const emoji of ['🐟', '👋🏼', '🐟']) saveRecentEmoji(store, emoji);
  expect(recentEmoji(store).slice(0, 3)).toEqual(['🐟', '👋🏼', '👍']);
  expect(toneOf(store)).toBe(0);
  saveSkinTone(store, 2);
  expect(withSkinTone(WAVE, toneOf(store))).toBe('👋🏼');
  expect(withSkinTone(FISH, 2)).toBe('🐟');
});

it('finds custom emoji by a part of their name', () => {
  const own = ['party_cat:', 'ship-it:'].map((name) => ({ id: name, name, kind: 'emoji' as const }));
  expect(findOwn(own, ':Party c').map(({ name }) => name)).toEqual(['party_cat:']);
  expect(findOwn(own, 'it').map(({ name }) => name)).toEqual(['ship-it:']);
  expect(findOwn(own, ' ')).toEqual([]);
});

it('normalises each emoji to the form of the server', () => {
  expect([formOf('👍\ufe0f'), formOf('👍🏽'), formOf('❤\ufe0f'), formOf(':party:')]).toEqual([
    '👍',
    '👍🏽',
    '❤\ufe0f',
    ':party:'
  ]);
  // The list of the picker and the stored recent emoji use the same form.
  const all = JSON.parse(list) as Emoji[];
  expect(all.some(({ unicode }) => unicode === '👍\ufe0f')).toBe(true);
  const forms = all
    .map(toServerForm)
    .flatMap(({ unicode, skins = [] }) => [unicode, ...skins.map((skin) => skin.unicode)]);
  expect(forms).toContain('👍');
  expect(new Set(forms).size).toBe(forms.length);
  expect(forms.filter((form) => formOf(form) !== form)).toEqual([]);
  const store = storage();
  store.setItem('natter.emoji', '👍\ufe0f 🐟');
  saveRecentEmoji(store, '👍');
  expect(recentEmoji(store).slice(0, 3)).toEqual(['👍', '🐟', '❤️']);
});
