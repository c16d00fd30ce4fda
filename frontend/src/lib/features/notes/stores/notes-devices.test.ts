import fc from '#lib/util/property-testing.ts';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { MemoryNotes, NotesServer } from './testing.ts';
import { NotesStore } from './notes.svelte.ts';
import { FakeLiveUpdates } from '#lib/features/conversations/store-testing.ts';

type Deed = 'create' | 'write' | 'pin' | 'remove' | 'turn' | 'rest' | 'reload';

/** Fake device that may be offline. */
class Device {
  readonly #server: NotesServer;
  readonly #storage = new MemoryNotes();
  #live = new FakeLiveUpdates();
  #notes: NotesStore;
  #close: () => void = () => undefined;

  constructor(server: NotesServer) {
    this.#server = server;
    this.#notes = this.#open();
  }

  /** Opens the page, which loads the stored notes. */
  #open(): NotesStore {
    this.#close();
    const { ready } = this.#live;
    this.#live = Object.assign(new FakeLiveUpdates(), { ready });
    const api = this.#server.apiFor(() => this.#live.ready);
    const copied = (title: string) => `${title} (copy)`;
    const notes = new NotesStore({ api, live: this.#live, storage: this.#storage, userId: 'u', copied });
    this.#close = notes.open();
    return notes;
  }

  hear(): void {
    if (this.#live.ready) this.#live.receive({ type: 'note.changed', payload: {} });
  }

  do(deed: Deed, place: number, mark: string): void {
    const { items } = this.#notes;
    const note = items[place % Math.max(1, items.length)];
    if (deed === 'turn') {
      if (this.#live.ready) this.#live.lose();
      else this.connect();
    } else if (deed === 'reload') this.#notes = this.#open();
    else if (deed === 'create' || !note) {
      this.#notes.write(this.#notes.create(), { title: 'Note', content: mark });
    } else if (deed === 'write') this.#notes.write(note.id, { content: `${note.content} ${mark}` });
    else if (deed === 'pin') this.#notes.write(note.id, { pinned: !note.pinned });
    else if (deed === 'remove') this.#notes.remove(note.id);
  }

  connect(): void {
    this.#live.greet();
    void this.#notes.sync();
  }

  get texts(): string[] {
    return this.#notes.items.map(({ content, pinned }) => `${content}${pinned ? '!' : ''}`).sort();
  }
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Runs actions on two devices, connects both and returns the final state of each. */
async function play(deeds: readonly { at: number; deed: Deed; place: number }[]) {
  const server = new NotesServer();
  const devices = [new Device(server), new Device(server)];
  server.onchange = () => devices.forEach((device) => device.hear());
  const marks: string[] = [];
  for (const [number, { at, deed, place }] of deeds.entries()) {
    const mark = `<${number}>`;
    if (deed === 'create' || deed === 'write') marks.push(mark);
    devices[at]?.do(deed, place, mark);
    await vi.advanceTimersByTimeAsync(deed === 'rest' ? 1_000 : 0);
  }
  for (let round = 0; round < 4; round += 1) {
    devices.forEach((device) => device.connect());
    await vi.advanceTimersByTimeAsync(20_000);
  }
  const stored = [...server.notes.values()].filter(({ deleted_at }) => !deleted_at);
  return { marks, devices, stored: stored.map(({ content, pinned }) => `${content}${pinned ? '!' : ''}`).sort() };
}

const deedsOf = (...deeds: Deed[]) =>
  fc.array(fc.record({ at: fc.nat(1), deed: fc.constantFrom(...deeds), place: fc.nat(4) }), { maxLength: 25 });

it('loses no text written on two devices that are offline at any time', async () => {
  await fc.assert(
    fc.asyncProperty(deedsOf('create', 'write', 'write', 'pin', 'turn', 'turn', 'rest', 'reload'), async (deeds) => {
      const { marks, devices, stored } = await play(deeds);
      for (const mark of marks) expect(stored.join('\n')).toContain(mark);
      for (const { texts } of devices) expect(texts).toEqual(stored);
    }),
    { numRuns: 150 }
  );
});

it('converges on both devices, including deletions', async () => {
  await fc.assert(
    fc.asyncProperty(
      deedsOf('create', 'write', 'write', 'pin', 'remove', 'turn', 'turn', 'rest', 'reload'),
      async (deeds) => {
        const { devices, stored } = await play(deeds);
        for (const { texts } of devices) expect(texts).toEqual(stored);
      }
    ),
    { numRuns: 150 }
  );
});
