import { expect, it } from 'vitest';
import type { Api } from '#lib/api/client.ts';
import { BookmarksStore } from './saved.svelte.ts';
import { FakeLiveUpdates } from '#lib/features/conversations/store-testing.ts';

/** Fake server that answers requests for the list when the test tells it to. */
function server(ids: string[]) {
  const there = new Set(ids);
  const answers: (() => void)[] = [];
  const idOf = (path: string) => path.split('/')[2] ?? '';
  const api = {
    get: async () => {
      const items = [...there].map((id) => ({ message: { id } }));
      await new Promise<void>((resolve) => answers.push(resolve));
      return { items, page: 1, page_size: 50, total: items.length };
    },
    put: (path: string) => Promise.resolve(void there.add(idOf(path))),
    delete: (path: string) => Promise.resolve(void there.delete(idOf(path)))
  };
  const letGo = async () => {
    for (let quiet = 0; quiet < 5; quiet++) {
      if (answers.length > 0) quiet = 0;
      answers.shift()?.();
      await Promise.resolve();
    }
  };
  return { saved: new BookmarksStore(api as unknown as Api, new FakeLiveUpdates()), letGo };
}

it('keeps a change made during a load', async () => {
  const { saved, letGo } = server(['m1']);
  // The response in flight contains the state before this change.
  await saved.setSaved('m1', false);
  await saved.setSaved('m2', true);
  expect([saved.has('m1'), saved.has('m2')]).toEqual([false, true]);
  await letGo();
  await expect.poll(() => saved.list.isLoading).toBe(false);
  expect([saved.has('m1'), saved.has('m2')]).toEqual([false, true]);
  expect(saved.list.items.map(({ message }) => message.id)).toEqual(['m2']);
});

it('follows other devices and drops deleted messages', async () => {
  const { saved, letGo } = server(['m1']);
  await letGo();
  await expect.poll(() => saved.list.isLoading).toBe(false);
  expect(saved.has('m1')).toBe(true);
  const live = new FakeLiveUpdates();
  const api = { get: () => Promise.resolve({ items: [], page: 1, page_size: 50, total: 0 }) };
  const other = new BookmarksStore(api as unknown as Api, live);
  live.receive({ type: 'saved.updated', payload: { conversation_id: 'c', message_id: 'm1', saved: true } });
  expect(other.has('m1')).toBe(true);
  live.receive({ type: 'message.deleted', payload: { conversation_id: 'c', message_id: 'm1', seq: 2 } });
  expect(other.has('m1')).toBe(false);
});

it('updates a saved message when it is edited', async () => {
  const live = new FakeLiveUpdates();
  const page = { items: [{ message: { id: 'm1', content: 'before' } }], page: 1, page_size: 50, total: 1 };
  const saved = new BookmarksStore({ get: () => Promise.resolve(page) } as unknown as Api, live);
  await expect.poll(() => saved.has('m1')).toBe(true);
  for (const id of ['m1', 'm2'])
    live.receive({ type: 'message.updated', payload: { message: { id, content: 'after' } } });
  expect(saved.list.items.map(({ message }) => message.content)).toEqual(['after']);
});

/** Store with 60 saved messages, of which 50 are loaded. */
function large(live: FakeLiveUpdates) {
  const there = new Set(Array.from({ length: 60 }, (_, at) => `m${at}`));
  const asked: string[] = [];
  const get = (path: string) => {
    asked.push(path);
    if (path !== '/saved') return Promise.resolve({ saved: there.has(path.split('/')[2] ?? '') });
    const items = [...there].slice(0, 50).map((id) => ({ message: { id } }));
    return Promise.resolve({ items, page: 1, page_size: 50, total: there.size });
  };
  return { there, asked, saved: new BookmarksStore({ get } as unknown as Api, live) };
}

it('looks up messages beyond the loaded pages once', async () => {
  const { asked, saved } = large(new FakeLiveUpdates());
  await expect.poll(() => saved.list.isKnown).toBe(true);
  expect(saved.has('m55')).toBe(false);
  for (const id of ['m55', 'm55', 'm1', 'other', 'other']) await saved.loadState(id);
  expect(['m55', 'm1', 'other'].map((id) => saved.has(id))).toEqual([true, true, false]);
  expect(asked).toEqual(['/saved', '/messages/m55/saved', '/messages/other/saved']);
});

it('looks up nothing when the list is complete', async () => {
  const get = (path: string) =>
    path === '/saved'
      ? Promise.resolve({ items: [{ message: { id: 'm1' } }], page: 1, page_size: 50, total: 1 })
      : Promise.reject(new Error(path));
  const saved = new BookmarksStore({ get } as unknown as Api, new FakeLiveUpdates());
  await expect.poll(() => saved.list.isKnown).toBe(true);
  await saved.loadState('other');
  expect(saved.has('other')).toBe(false);
});

it('reloads after a reconnect and keeps events received meanwhile', async () => {
  const live = new FakeLiveUpdates();
  const { there, saved } = large(live);
  await expect.poll(() => saved.list.isKnown).toBe(true);
  await saved.loadState('m55');
  live.greet();
  there.delete('m55');
  live.greet();
  await expect.poll(() => saved.list.total).toBe(59);
  expect(saved.has('m55')).toBe(false);
  // Another device saves it while the response is in flight.
  const learning = saved.loadState('m55');
  live.receive({ type: 'saved.updated', payload: { conversation_id: 'c', message_id: 'm55', saved: true } });
  await learning;
  expect(saved.has('m55')).toBe(true);
});

it('renames senders when their names change', async () => {
  const items = [{ message: { id: 'm1', sender: { kind: 'user', id: 'mai', name: 'Mai' } } }];
  const live = new FakeLiveUpdates();
  const get = () => Promise.resolve({ items, page: 1, page_size: 50, total: 1 });
  const saved = new BookmarksStore({ get } as unknown as Api, live);
  await expect.poll(() => saved.list.items.length).toBe(1);
  live.receive({
    type: 'user.changed',
    payload: { user_id: 'mai', display_name: 'Mai Trần', picture: null, deleted: false }
  });
  expect(saved.list.items.map(({ message }) => message.sender.name)).toEqual(['Mai Trần']);
});
