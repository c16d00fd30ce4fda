import { describe, expect, it } from 'vitest';
import { DraftsStore } from './drafts.svelte.ts';

class MemoryStorage {
  readonly #items = new Map<string, string>();
  get length() {
    return this.#items.size;
  }
  key = (index: number) => [...this.#items.keys()][index] ?? null;
  getItem = (key: string) => this.#items.get(key) ?? null;
  setItem = (key: string, value: string) => void this.#items.set(key, value);
  removeItem = (key: string) => void this.#items.delete(key);
}

describe('drafts', () => {
  it('are kept for each conversation and each account', () => {
    const storage = new MemoryStorage();
    const drafts = new DraftsStore(storage);
    drafts.open('me');
    drafts.set('c1', 'half a sent');
    drafts.set('c2', 'other');
    const again = new DraftsStore(storage);
    again.open('me');
    expect([again.get('c1'), again.get('c2')]).toEqual(['half a sent', 'other']);
    again.open('you');
    expect(again.get('c1')).toBe('');
  });

  it('go when nothing is left of them', () => {
    const storage = new MemoryStorage();
    const drafts = new DraftsStore(storage);
    drafts.open('me');
    drafts.set('c1', 'text');
    drafts.set('c1', '  ');
    expect(drafts.get('c1')).toBe('');
    expect(storage.length).toBe(0);
  });

  it('remember that their links are to have no previews', () => {
    const storage = new MemoryStorage();
    const drafts = new DraftsStore(storage);
    drafts.open('me');
    drafts.set('c1', 'https://a.test');
    drafts.setBare('c1', true);
    const again = new DraftsStore(storage);
    again.open('me');
    expect([again.isBare('c1'), again.isBare('c2')]).toEqual([true, false]);
    again.set('c1', '');
    expect(again.isBare('c1')).toBe(false);
    expect(storage.length).toBe(0);
  });

  it('live as long as the page where the browser keeps nothing', () => {
    const storage = new MemoryStorage();
    storage.setItem = () => {
      throw new Error('full');
    };
    const drafts = new DraftsStore(storage);
    drafts.open('me');
    drafts.set('c1', 'text');
    expect(drafts.get('c1')).toBe('text');
  });
});
