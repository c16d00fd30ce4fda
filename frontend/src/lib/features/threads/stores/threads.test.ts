import { expect, it } from 'vitest';
import type { Api } from '#lib/api/client.ts';
import { FakeLiveUpdates } from '#lib/features/conversations/store-testing.ts';
import { ThreadsStore } from './threads.svelte.ts';

it('renames the senders of threads when their names change', async () => {
  const items = [{ root: { id: 'm1', sender: { kind: 'user', id: 'mai', name: 'Mai' } }, unread: 0 }];
  const get = () => Promise.resolve({ items, page: 1, page_size: 50, total: 1 });
  const threads = new ThreadsStore({ get } as unknown as Api);
  const live = new FakeLiveUpdates();
  const leave = threads.follow(live);
  await threads.list.load();
  live.receive({
    type: 'user.changed',
    payload: { user_id: 'mai', display_name: 'Mai Trần', picture: null, deleted: false }
  });
  expect(threads.list.items.map(({ root }) => root.sender.name)).toEqual(['Mai Trần']);
  leave();
});
