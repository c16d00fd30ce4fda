import { expect, it, vi } from 'vitest';
import type { Api } from '#lib/api/client.ts';
import { PinsStore } from './pins.svelte.ts';
import { FakeLiveUpdates } from '#lib/features/conversations/store-testing.ts';

const messageOf = (id: string, content: string) => ({ id, conversation_id: 'c1', content });

it('shows the current pins, including after a reconnect', async () => {
  const there = [messageOf('m2', 'two'), messageOf('m1', 'one')];
  const get = vi.fn(async () => ({ items: [...there], page: 1, page_size: 100, total: there.length }));
  const pins = new PinsStore({ get } as unknown as Api, 'c1');
  const live = new FakeLiveUpdates();
  const leave = pins.follow(live);
  const shown = () => pins.list.items.map(({ content }) => content);
  live.greet();
  await pins.list.load();
  expect(shown()).toEqual(['two', 'one']);
  for (const [id, content] of [
    ['m1', 'one, edited'],
    ['m3', 'not pinned']
  ] as const)
    live.receive({ type: 'message.updated', payload: { message: messageOf(id, content) } });
  expect(shown()).toEqual(['two', 'one, edited']);
  live.receive({ type: 'message.unpinned', payload: { conversation_id: 'c1', message_id: 'm2' } });
  expect(shown()).toEqual(['one, edited']);
  there.unshift(messageOf('m4', 'pinned meanwhile'));
  live.greet();
  await vi.waitFor(() => expect(shown()).toEqual(['pinned meanwhile', 'two', 'one']));
  // The event was lost although the connection stayed, as may happen in large channels.
  there.shift();
  live.receive({ type: 'resync', payload: { conversation_ids: ['other'] } });
  expect(get).toHaveBeenCalledTimes(2);
  live.receive({ type: 'resync', payload: { conversation_ids: ['c1'] } });
  await vi.waitFor(() => expect(shown()).toEqual(['two', 'one']));
  leave();
});

it('renames senders when their names change', async () => {
  const items = [{ ...messageOf('m1', 'one'), sender: { kind: 'user', id: 'mai', name: 'Mai' } }];
  const get = async () => ({ items, page: 1, page_size: 100, total: 1 });
  const pins = new PinsStore({ get } as unknown as Api, 'c1');
  const live = new FakeLiveUpdates();
  pins.follow(live);
  await pins.list.load();
  live.receive({
    type: 'user.changed',
    payload: { user_id: 'mai', display_name: 'Mai Trần', picture: null, deleted: false }
  });
  expect(pins.list.items.map(({ sender }) => sender.name)).toEqual(['Mai Trần']);
});
