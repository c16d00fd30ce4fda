import { expect, it } from 'vitest';
import type { Api } from '#lib/api/client.ts';
import { Saved } from './saved.svelte.ts';
import { FakeLine } from '#lib/features/conversations/store-testing.ts';

/** The server's list, whose answers wait until they are let go. */
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
  return { saved: new Saved(api as unknown as Api, new FakeLine()), letGo };
}

it('knows what was done last, also where the list was on its way', async () => {
  const { saved, letGo } = server(['m1']);
  // The first reading has begun, and knows nothing of this.
  await saved.keep('m1', false);
  await saved.keep('m2', true);
  expect([saved.has('m1'), saved.has('m2')]).toEqual([false, true]);
  await letGo();
  await expect.poll(() => saved.list.isLoading).toBe(false);
  expect([saved.has('m1'), saved.has('m2')]).toEqual([false, true]);
  expect(saved.list.items.map(({ message }) => message.id)).toEqual(['m2']);
});

it('hears of it from other devices, and forgets what was deleted', async () => {
  const { saved, letGo } = server(['m1']);
  await letGo();
  await expect.poll(() => saved.list.isLoading).toBe(false);
  expect(saved.has('m1')).toBe(true);
  const line = new FakeLine();
  const api = { get: () => Promise.resolve({ items: [], page: 1, page_size: 50, total: 0 }) };
  const other = new Saved(api as unknown as Api, line);
  line.receive({ type: 'saved.updated', payload: { conversation_id: 'c', message_id: 'm1', saved: true } });
  expect(other.has('m1')).toBe(true);
  line.receive({ type: 'message.deleted', payload: { conversation_id: 'c', message_id: 'm1', seq: 2 } });
  expect(other.has('m1')).toBe(false);
});

it('shows what a saved message says now', async () => {
  const line = new FakeLine();
  const page = { items: [{ message: { id: 'm1', content: 'before' } }], page: 1, page_size: 50, total: 1 };
  const saved = new Saved({ get: () => Promise.resolve(page) } as unknown as Api, line);
  await expect.poll(() => saved.has('m1')).toBe(true);
  for (const id of ['m1', 'm2'])
    line.receive({ type: 'message.updated', payload: { message: { id, content: 'after' } } });
  expect(saved.list.items.map(({ message }) => message.content)).toEqual(['after']);
});

/** A list of 60, of which 50 are read, and the server's word on each alone. */
function large(line: FakeLine) {
  const there = new Set(Array.from({ length: 60 }, (_, at) => `m${at}`));
  const asked: string[] = [];
  const get = (path: string) => {
    asked.push(path);
    if (path !== '/saved') return Promise.resolve({ saved: there.has(path.split('/')[2] ?? '') });
    const items = [...there].slice(0, 50).map((id) => ({ message: { id } }));
    return Promise.resolve({ items, page: 1, page_size: 50, total: there.size });
  };
  return { there, asked, saved: new Saved({ get } as unknown as Api, line) };
}

it('finds out of one that is beyond what was read of the list, once', async () => {
  const { asked, saved } = large(new FakeLine());
  await expect.poll(() => saved.list.isKnown).toBe(true);
  expect(saved.has('m55')).toBe(false);
  for (const id of ['m55', 'm55', 'm1', 'other', 'other']) await saved.learn(id);
  expect(['m55', 'm1', 'other'].map((id) => saved.has(id))).toEqual([true, true, false]);
  expect(asked).toEqual(['/saved', '/messages/m55/saved', '/messages/other/saved']);
});

it('asks of none where all of the list was read', async () => {
  const get = (path: string) =>
    path === '/saved'
      ? Promise.resolve({ items: [{ message: { id: 'm1' } }], page: 1, page_size: 50, total: 1 })
      : Promise.reject(new Error(path));
  const saved = new Saved({ get } as unknown as Api, new FakeLine());
  await expect.poll(() => saved.list.isKnown).toBe(true);
  await saved.learn('other');
  expect(saved.has('other')).toBe(false);
});

it('asks again after a time in which nothing was heard, and keeps what was told meanwhile', async () => {
  const line = new FakeLine();
  const { there, saved } = large(line);
  await expect.poll(() => saved.list.isKnown).toBe(true);
  await saved.learn('m55');
  line.greet();
  there.delete('m55');
  line.greet();
  await expect.poll(() => saved.list.total).toBe(59);
  expect(saved.has('m55')).toBe(false);
  // The answer is on its way when another device saves it.
  const learning = saved.learn('m55');
  line.receive({ type: 'saved.updated', payload: { conversation_id: 'c', message_id: 'm55', saved: true } });
  await learning;
  expect(saved.has('m55')).toBe(true);
});

it('names whoever wrote them by another name as soon as that is told', async () => {
  const items = [{ message: { id: 'm1', sender: { kind: 'user', id: 'mai', name: 'Mai' } } }];
  const line = new FakeLine();
  const get = () => Promise.resolve({ items, page: 1, page_size: 50, total: 1 });
  const saved = new Saved({ get } as unknown as Api, line);
  await expect.poll(() => saved.list.items.length).toBe(1);
  line.receive({
    type: 'user.changed',
    payload: { user_id: 'mai', display_name: 'Mai Trần', picture: null, deleted: false }
  });
  expect(saved.list.items.map(({ message }) => message.sender.name)).toEqual(['Mai Trần']);
});
