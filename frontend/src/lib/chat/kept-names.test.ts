import { expect, it } from 'vitest';
import { KeptNames } from './kept-names.ts';
import type { Name } from './mentions.ts';

const storage = () => {
  const items = new Map<string, string>();
  return {
    length: 0,
    key: () => null,
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key)
  };
};
const anna = (id: string): Name => ({ id, name: 'Anna', kind: 'person', about: 'not kept' });

it('keeps who was chosen for a draft, the last one last and each once, until it is sent', () => {
  const kept = storage();
  const names = new KeptNames(kept, 'me', 'c1');
  for (const id of ['u1', 'u2', 'u1']) names.add(anna(id));
  names.add({ name: 'all', kind: 'all' });
  const again = (user: string, draft: string) => new KeptNames(kept, user, draft).all();
  expect(again('me', 'c1')).toEqual(['u2', 'u1'].map((id) => ({ id, name: 'Anna', kind: 'person' })));
  expect([again('me', 'c2'), again('you', 'c1')]).toEqual([[], []]);
  names.forget();
  expect(again('me', 'c1')).toEqual([]);
});

it('takes what is damaged, or can’t be kept, for nothing', () => {
  const kept = storage();
  for (const damaged of ['{', 'null', '{}', '[null, 1, {"id": "u1"}, {"id": "u1", "name": "Anna", "kind": "me"}]']) {
    kept.setItem('natter.meant.me.c1', damaged);
    expect(new KeptNames(kept, 'me', 'c1').all()).toEqual([]);
  }
  const full = {
    ...kept,
    setItem: () => {
      throw new Error('full');
    }
  };
  new KeptNames(full, 'me', 'c2').add(anna('u1'));
  expect(new KeptNames(undefined, 'me', 'c1').all()).toEqual([]);
});
