import { beforeEach, expect, it, vi } from 'vitest';
import { MemoryNotes, NotesServer } from './testing.ts';
import { NotesStore } from './notes.svelte.ts';
import { FakeLiveUpdates } from '#lib/features/conversations/store-testing.ts';

let server: NotesServer;
let storage: MemoryNotes;
let live: FakeLiveUpdates;

beforeEach(() => {
  vi.useFakeTimers();
  [server, storage, live] = [new NotesServer(), new MemoryNotes(), new FakeLiveUpdates()];
});

async function open(): Promise<NotesStore> {
  const notes = new NotesStore({ api: server.api, live, storage, userId: 'u', copied: (title) => `${title} (copy)` });
  notes.open();
  await vi.advanceTimersByTimeAsync(0);
  return notes;
}

const rest = () => vi.advanceTimersByTimeAsync(20_000);
const texts = (notes: NotesStore) => notes.items.map(({ title, content }) => `${title}: ${content}`).sort();

it('stores changes on the device at once and on the server after typing pauses', async () => {
  const notes = await open();
  server.isAway = true;
  const id = notes.create();
  notes.write(id, { title: 'Call', content: 'One' });
  expect(storage.kept.get(id)?.content).toBe('One');
  live.ready = false;
  expect(notes.stateOf(id)).toBe('local');
  await rest();
  expect(server.notes.size).toBe(0);
  // The page is opened again while offline.
  const later = await open();
  expect(texts(later)).toEqual(['Call: One']);
  server.isAway = false;
  live.ready = true;
  await rest();
  expect(server.notes.get(id)?.content).toBe('One');
  expect(later.stateOf(id)).toBe('saved');
});

it('stores nothing after the account signs out', async () => {
  const notes = new NotesStore({ api: server.api, live, storage, userId: 'u', copied: (title) => title });
  const close = notes.open();
  await vi.advanceTimersByTimeAsync(0);
  server.store('a', { title: 'Call', content: 'x' });
  const asked = notes.sync();
  close();
  await asked;
  expect([storage.kept.size, storage.since]).toEqual([0, null]);
});

it('applies changes and deletions of other devices', async () => {
  for (const id of ['a', 'b', 'c']) server.store(id, { title: id, content: 'x' });
  const notes = await open();
  expect(texts(notes)).toEqual(['a: x', 'b: x', 'c: x']);
  server.store('a', { content: 'y', pinned: true });
  server.remove('b');
  live.receive({ type: 'note.changed', payload: {} });
  await rest();
  expect(texts(notes)).toEqual(['a: y', 'c: x']);
  expect(notes.items[0]?.id).toBe('a');
  expect([...storage.kept.keys()].sort()).toEqual(['a', 'c']);
});

it('keeps both versions after a conflict', async () => {
  server.store('a', { title: 'Call', content: 'before' });
  const notes = await open();
  const moved = vi.fn();
  notes.onCopied = moved;
  server.store('a', { content: 'theirs' });
  notes.write('a', { content: 'mine' });
  await rest();
  expect(texts(notes)).toEqual(['Call (copy): mine', 'Call: theirs']);
  const copy = notes.items.find(({ copyOf }) => copyOf === 'a');
  expect(moved).toHaveBeenCalledWith('a', copy?.id);
  expect([...server.notes.values()].map(({ content }) => content).sort()).toEqual(['mine', 'theirs']);
  notes.resolveConflict(copy?.id ?? '');
  expect(notes.items.every(({ copyOf }) => copyOf === undefined)).toBe(true);
});

it('lets an edit win over a deletion, on either side', async () => {
  for (const id of ['a', 'b']) server.store(id, { title: id, content: 'x' });
  const notes = await open();
  server.isAway = true;
  notes.write('a', { content: 'written here' });
  notes.remove('b');
  server.remove('a');
  server.store('b', { content: 'written there' });
  server.isAway = false;
  await rest();
  expect(texts(notes)).toEqual(['a: written here', 'b: written there']);
  expect(server.notes.get('a')).toMatchObject({ content: 'written here', deleted_at: null });
});

it('deletes everywhere, drops notes that were never sent, and reports a refusal', async () => {
  server.store('a', { title: 'a', content: 'x' });
  const notes = await open();
  notes.remove('a');
  notes.remove(notes.create());
  await rest();
  expect(notes.items).toEqual([]);
  expect(server.notes.get('a')?.deleted_at).not.toBeNull();
  const id = notes.create();
  notes.write(id, { content: 'refused' });
  await rest();
  expect(notes.stateOf(id)).toBe('refused');
  expect(notes.problemOf(id)).toBe('Too long.');
  notes.write(id, { content: 'shorter' });
  await rest();
  expect(notes.stateOf(id)).toBe('saved');
});

it('continues past a note that fails on the server, and retries that note', async () => {
  const notes = await open();
  const [first, second] = [notes.create(), notes.create()];
  notes.write(first, { content: 'fault' });
  notes.write(second, { content: 'other' });
  await rest();
  expect([server.notes.get(second)?.content, notes.stateOf(second), notes.waiting]).toEqual(['other', 'saved', 1]);
  expect(notes.error).not.toBeNull();
  notes.write(first, { content: 'better' });
  await rest();
  expect([server.notes.get(first)?.content, notes.waiting, notes.error]).toEqual(['better', 0, null]);
});

it('keeps a note that is restored while its deletion is in progress', async () => {
  const notes = await open();
  const id = notes.create();
  notes.write(id, { title: 'Call', content: 'At eleven' });
  await rest();
  const note = notes.get(id);
  let answer = () => {};
  server.answering = new Promise((resolve) => (answer = resolve));
  notes.remove(id);
  await vi.advanceTimersByTimeAsync(0);
  expect(server.notes.get(id)?.deleted_at).not.toBeNull();
  if (note) notes.restore(note);
  answer();
  await rest();
  expect(texts(notes)).toEqual(['Call: At eleven']);
  expect(server.notes.get(id)).toMatchObject({ content: 'At eleven', deleted_at: null });
  expect(notes.waiting).toBe(0);
});
