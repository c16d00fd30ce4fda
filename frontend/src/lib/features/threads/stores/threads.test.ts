import { expect, it } from 'vitest';
import type { Api } from '#lib/api/client.ts';
import { FakeLine } from '#lib/features/conversations/store-testing.ts';
import { FollowedThreads } from './threads.svelte.ts';

it('names whoever wrote what they are about by another name as soon as that is told', async () => {
  const items = [{ root: { id: 'm1', sender: { kind: 'user', id: 'mai', name: 'Mai' } }, unread: 0 }];
  const get = () => Promise.resolve({ items, page: 1, page_size: 50, total: 1 });
  const threads = new FollowedThreads({ get } as unknown as Api);
  const line = new FakeLine();
  const leave = threads.follow(line);
  await threads.list.load();
  line.receive({
    type: 'user.changed',
    payload: { user_id: 'mai', display_name: 'Mai Trần', picture: null, deleted: false }
  });
  expect(threads.list.items.map(({ root }) => root.sender.name)).toEqual(['Mai Trần']);
  leave();
});
