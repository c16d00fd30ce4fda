import { beforeEach, describe, expect, it } from 'vitest';
import type { Section } from '#lib/features/channels/api.ts';
import { Api, ApiError } from '#lib/api/client.ts';
import type { ServerFrame } from '#lib/api/types.ts';
import { SectionsStore } from './sections.svelte.ts';
import { FakeLiveUpdates } from './store-testing.ts';

class FakeApi extends Api {
  items: Section[] = [];
  asked: string[] = [];
  refuses = false;

  override get<T>(path: string, ..._: unknown[]): Promise<T> {
    this.asked.push(`GET ${path}`);
    return Promise.resolve({ items: this.items, page: 1, page_size: 100, total: this.items.length } as T);
  }

  override post<T>(path: string, ...[body]: unknown[]): Promise<T> {
    this.asked.push(`POST ${path}`);
    return Promise.resolve({ id: 'new', position: this.items.length, ...(body as object) } as T);
  }

  override patch<T>(path: string, ...[body]: unknown[]): Promise<T> {
    this.asked.push(`PATCH ${path} ${JSON.stringify(body)}`);
    if (this.refuses) return Promise.reject(new ApiError(500, 'internal', ''));
    this.items = this.items.map((one) => (path.endsWith(one.id) ? { ...one, ...(body as object) } : one));
    return Promise.resolve(this.items.find(({ id }) => path.endsWith(id)) as T);
  }

  override delete<T>(path: string, ..._: unknown[]): Promise<T> {
    this.asked.push(`DELETE ${path}`);
    return Promise.resolve(undefined as T);
  }
}

let api: FakeApi;
let sections: SectionsStore;
const names = () => sections.items.map(({ name }) => name);

beforeEach(async () => {
  api = new FakeApi();
  api.items = [
    { id: 'b', name: 'Later', position: 1 },
    { id: 'a', name: 'Launch', position: 0 }
  ];
  sections = new SectionsStore(api);
  await sections.load();
});

describe('SectionsStore', () => {
  it('sorts sections by position, a new one last', async () => {
    expect(names()).toEqual(['Launch', 'Later']);
    await sections.create('Reading');
    expect(names()).toEqual(['Launch', 'Later', 'Reading']);
  });

  it('renames and deletes sections', async () => {
    await sections.rename('b', 'Some day');
    await sections.remove('a');
    expect(names()).toEqual(['Some day']);
  });

  it('moves a section at once and reverts a refused move', async () => {
    await sections.move('b', -1);
    expect(names()).toEqual(['Later', 'Launch']);
    api.refuses = true;
    await expect(sections.move('b', 1)).rejects.toThrow();
    expect(names()).toEqual(['Later', 'Launch']);
    await sections.move('b', -1);
    expect(names()).toEqual(['Later', 'Launch']);
  });

  it('keeps the last order despite events during a move', async () => {
    const live = new FakeLiveUpdates();
    api.items.push({ id: 'c', name: 'Clients', position: 2 });
    const moved = new SectionsStore(api, live);
    await moved.load();
    const shown = () => moved.items.map(({ name }) => name);
    const both = [moved.move('a', 1), moved.move('a', 1)];
    expect(shown()).toEqual(['Later', 'Clients', 'Launch']);
    // This is the event about the first of the two changes.
    live.receive({ type: 'sections.changed', payload: { sections: [{ id: 'a', name: 'Launch', position: 1 }] } });
    expect(shown()).toEqual(['Later', 'Clients', 'Launch']);
    await Promise.all(both);
    expect(shown()).toEqual(['Later', 'Clients', 'Launch']);
    expect(api.items.map(({ position }) => position)).toEqual([0, 2, 1]);
  });

  it('follows other devices', async () => {
    let say: (frame: ServerFrame) => void = () => undefined;
    const other = new SectionsStore(api, {
      on: (handler) => {
        say = handler;
        return () => undefined;
      },
      onStale: () => () => undefined
    });
    await other.load();
    say({
      type: 'sections.changed',
      payload: { sections: [{ id: 'c', name: 'Clients', position: 0 }] }
    } as ServerFrame);
    expect(other.items.map(({ name }) => name)).toEqual(['Clients']);
  });

  it('is empty if the sections can’t be loaded', async () => {
    const other = new SectionsStore(
      Object.assign(new FakeApi(), { get: () => Promise.reject(new ApiError(404, 'not_found', '')) })
    );
    await other.load();
    expect(other.items).toEqual([]);
  });
});
