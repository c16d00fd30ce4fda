import { expect, it, onTestFinished, vi } from 'vitest';
import type { Api } from '#lib/api/client.ts';
import { FakeLiveUpdates } from '#lib/features/conversations/store-testing.ts';
import { ThreadsStore } from './threads.svelte.ts';
import { UnreadThreadsStore } from './unread-threads.svelte.ts';

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

it('counts the unread replies again when one is deleted', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  let unread = 1;
  const get = () => Promise.resolve({ items: [{ root: { id: 'm1' }, unread }], page: 1, page_size: 50, total: 1 });
  const threads = new UnreadThreadsStore(
    { get } as unknown as Api,
    () => 'mai',
    () => false
  );
  const live = new FakeLiveUpdates();
  const leave = threads.listen(live as never);
  await threads.load();
  expect(threads.count).toBe(1);
  unread = 0;
  live.receive({
    type: 'message.deleted',
    payload: { conversation_id: 'c1', seq: 9, message_id: 'r1', thread_id: 'm1' }
  });
  await vi.runAllTimersAsync();
  expect(threads.count).toBe(0);
  leave();
});
