import { describe, expect, it, vi } from 'vitest';
import type { Name } from './mentions.ts';
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

const anna = (id: string): Name => ({ id, name: 'Anna', kind: 'person', about: 'not kept' });

describe('DraftsStore', () => {
  it('keeps drafts by conversation and account', () => {
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

  it('removes an empty draft', () => {
    const storage = new MemoryStorage();
    const drafts = new DraftsStore(storage);
    drafts.open('me');
    drafts.set('c1', 'text');
    drafts.set('c1', '  ');
    expect(drafts.get('c1')).toBe('');
    expect(storage.length).toBe(0);
  });

  it('keeps that a draft disables link previews', () => {
    const storage = new MemoryStorage();
    const drafts = new DraftsStore(storage);
    drafts.open('me');
    drafts.set('c1', 'https://a.test');
    drafts.setNoPreviews('c1', true);
    const again = new DraftsStore(storage);
    again.open('me');
    expect([again.hasNoPreviews('c1'), again.hasNoPreviews('c2')]).toEqual([true, false]);
    again.set('c1', '');
    expect(again.hasNoPreviews('c1')).toBe(false);
    expect(storage.length).toBe(0);
  });

  it('stores a long draft after a short delay, even while typing', () => {
    vi.useFakeTimers();
    const storage = new MemoryStorage();
    const drafts = new DraftsStore(storage);
    drafts.open('me');
    for (let length = 5_000; length < 5_010; length++) {
      drafts.set('c1', 'x'.repeat(length));
      vi.advanceTimersByTime(100);
    }
    vi.useRealTimers();
    const again = new DraftsStore(storage);
    again.open('me');
    expect(again.get('c1').length).toBeGreaterThan(5_000);
  });

  it('stores a long draft at once when the page is left', () => {
    vi.useFakeTimers();
    const storage = new MemoryStorage();
    const drafts = new DraftsStore(storage);
    drafts.open('me');
    drafts.set('c1', 'x'.repeat(5_000));
    drafts.set('c1', 'x'.repeat(5_001));
    drafts.flush();
    const again = new DraftsStore(storage);
    again.open('me');
    expect(again.get('c1')).toHaveLength(5_001);
    drafts.set('c1', 'x'.repeat(5_002));
    drafts.close();
    vi.advanceTimersByTime(1_000);
    again.open('me');
    expect(again.get('c1')).toHaveLength(5_002);
    vi.useRealTimers();
  });

  it('keeps the quoted message', () => {
    const storage = new MemoryStorage();
    const drafts = new DraftsStore(storage);
    drafts.open('me');
    drafts.set('c1', 'I agree');
    drafts.setReply('c1', 'm1');
    const again = new DraftsStore(storage);
    again.open('me');
    expect([again.replyOf('c1'), again.replyOf('c2')]).toEqual(['m1', null]);
    again.adopt('c1', '', null);
    expect(again.replyOf('c1')).toBeNull();
    expect(storage.length).toBe(0);
  });

  it('keeps mentions in order of use, each once, until the draft is sent', () => {
    const storage = new MemoryStorage();
    const drafts = new DraftsStore(storage);
    drafts.open('me');
    drafts.set('c1', '@Anna');
    for (const id of ['u1', 'u2', 'u1']) drafts.addPickedMention('c1', anna(id));
    drafts.addPickedMention('c1', { name: 'all', kind: 'all' });
    const again = new DraftsStore(storage);
    again.open('me');
    expect(again.pickedMentions('c1')).toEqual(['u2', 'u1'].map((id) => ({ id, name: 'Anna', kind: 'person' })));
    expect(again.pickedMentions('c2')).toEqual([]);
    again.open('you');
    expect(again.pickedMentions('c1')).toEqual([]);
    again.open('me');
    again.set('c1', '@Anna and');
    expect(again.pickedMentions('c1')).toHaveLength(2);
    again.set('c1', '');
    expect(again.pickedMentions('c1')).toEqual([]);
    expect(storage.length).toBe(0);
  });

  it('drops mentions when another device has sent the draft', () => {
    const storage = new MemoryStorage();
    const drafts = new DraftsStore(storage);
    drafts.open('me');
    drafts.set('c1', '@Anna');
    drafts.addPickedMention('c1', anna('u1'));
    drafts.adopt('c1', '', null);
    expect(drafts.pickedMentions('c1')).toEqual([]);
    expect(storage.length).toBe(0);
  });

  it('ignores damaged mentions', () => {
    for (const damaged of ['{', 'null', '{}', '[null, 1, {"id": "u1"}, {"id": "u1", "name": "Anna", "kind": "me"}]']) {
      const storage = new MemoryStorage();
      storage.setItem('natter.meant.me.c1', damaged);
      const drafts = new DraftsStore(storage);
      drafts.open('me');
      expect(drafts.pickedMentions('c1')).toEqual([]);
    }
  });

  it('reports a draft from another device until the user edits it', () => {
    const drafts = new DraftsStore(new MemoryStorage());
    drafts.open('me');
    drafts.adopt('c1', 'from the phone', null);
    expect(drafts.adopted).toEqual({ key: 'c1', text: 'from the phone' });
    drafts.set('c2', 'elsewhere');
    expect(drafts.adopted).not.toBeNull();
    drafts.set('c1', '');
    expect(drafts.adopted).toBeNull();
  });

  it('keeps drafts of edits separate from those of new messages', () => {
    const storage = new MemoryStorage();
    const drafts = new DraftsStore(storage);
    drafts.open('me');
    drafts.set('c1', 'new');
    drafts.setEdit('m1', 'other words');
    const again = new DraftsStore(storage);
    again.open('me');
    expect([again.get('c1'), again.editOf('m1'), again.editOf('m2')]).toEqual(['new', 'other words', null]);
    expect([...again.all().keys()]).toEqual(['c1']);
    again.open('you');
    expect(again.editOf('m1')).toBeNull();
    again.open('me');
    again.setEdit('m1', null);
    expect(again.editOf('m1')).toBeNull();
  });

  it('keeps drafts in memory if the browser storage is full', () => {
    const storage = new MemoryStorage();
    storage.setItem = () => {
      throw new Error('full');
    };
    const drafts = new DraftsStore(storage);
    drafts.open('me');
    drafts.set('c1', 'text');
    drafts.addPickedMention('c1', anna('u1'));
    expect(drafts.get('c1')).toBe('text');
    expect(drafts.pickedMentions('c1')).toHaveLength(1);
  });
});
