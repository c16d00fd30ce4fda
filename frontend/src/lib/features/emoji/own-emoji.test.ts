import { expect, it, vi } from 'vitest';
import type { Api } from '#lib/api/client.ts';
import type { ServerFrame } from '#lib/api/types.ts';
import { OwnEmojiStore } from './own-emoji.svelte.ts';

const one = (name: string) => ({
  workspace_id: 'w1',
  name,
  upload_id: `u-${name}`,
  author: null,
  may_remove: true,
  created_at: '2026-11-25T00:00:00Z'
});

function start(pages: string[][]) {
  const get = vi.fn((_: string, query: { page: number }) => {
    const items = (pages[query.page - 1] ?? []).map(one);
    return Promise.resolve({ items, page: query.page, page_size: 200, total: pages.flat().length });
  });
  const handlers: ((frame: ServerFrame) => void)[] = [];
  const live = {
    on: (handler: (frame: ServerFrame) => void) => {
      handlers.push(handler);
      return () => undefined;
    },
    onStale: () => () => undefined
  };
  const emoji = new OwnEmojiStore({ get } as unknown as Api, live, 'w1');
  const tell = (workspace_id: string) =>
    handlers.forEach((handler) => handler({ type: 'emoji.changed', payload: { workspace_id } } as ServerFrame));
  return { emoji, get, tell };
}

it('lists all emoji of a workspace by the names used in text', async () => {
  const { emoji } = start([['cat', 'dog'], ['fox']]);
  await emoji.load();
  expect(emoji.names).toEqual([
    { id: 'u-cat', name: 'cat:', kind: 'emoji' },
    { id: 'u-dog', name: 'dog:', kind: 'emoji' },
    { id: 'u-fox', name: 'fox:', kind: 'emoji' }
  ]);
});

it('reloads when the emoji of the workspace change', async () => {
  const { emoji, get, tell } = start([['cat']]);
  await emoji.load();
  tell('w2');
  expect(get).toHaveBeenCalledTimes(1);
  tell('w1');
  await vi.waitFor(() => expect(get).toHaveBeenCalledTimes(2));
});
