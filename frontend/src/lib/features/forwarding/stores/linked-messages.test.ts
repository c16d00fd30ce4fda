import { expect, it, vi } from 'vitest';
import { ApiError, type Api } from '#lib/api/client.ts';
import { frame, message } from '#lib/features/conversations/testing.ts';
import { LinkedMessagesStore } from './linked-messages.svelte.ts';
import { FakeLiveUpdates } from '#lib/features/conversations/store-testing.ts';

function made() {
  const live = new FakeLiveUpdates();
  const get = vi.fn(() => Promise.resolve(message(1)));
  const linked = new LinkedMessagesStore({ get } as unknown as Api, live);
  return { live, get, linked };
}

it('loads a message once per connection and follows its changes', async () => {
  const { live, get, linked } = made();
  expect(linked.of('m1')).toBeNull();
  await Promise.all([linked.load('m1'), linked.load('m1')]);
  expect(get.mock.calls).toEqual([['/messages/m1']]);
  expect(linked.of('m1')?.content).toBe('text 1');
  live.receive(frame('message.updated', { seq: 5, message: message(1, { content: 'edited' }) }));
  live.receive(frame('message.updated', { seq: 6, message: message(2) }));
  expect(linked.of('m1')?.content).toBe('edited');
  expect(linked.of('m2')).toBeNull();
  live.greet();
  live.greet();
  await linked.load('m1');
  expect(get).toHaveBeenCalledTimes(2);
  live.receive(frame('message.deleted', { seq: 7, message_id: 'm1', thread_id: null }));
  expect(linked.of('m1')).toBeNull();
});

it('shows nothing for an unreadable message, and retries after other failures', async () => {
  const { get, linked } = made();
  get.mockRejectedValueOnce(new ApiError(503, 'unavailable', 'away'));
  await linked.load('m1');
  expect(linked.of('m1')).toBeNull();
  get.mockRejectedValueOnce(new ApiError(404, 'not_found', ''));
  await linked.load('m1');
  await linked.load('m1');
  expect(get).toHaveBeenCalledTimes(2);
  expect(linked.of('m1')).toBeNull();
});
