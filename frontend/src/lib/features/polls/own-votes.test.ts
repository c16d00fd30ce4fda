import { expect, it, vi } from 'vitest';
import type { Api } from '#lib/api/client.ts';
import { OwnVotesStore } from './own-votes.svelte.ts';
import { FakeLiveUpdates } from '#lib/features/conversations/store-testing.ts';

const POLL = 'm1';

function made(put: () => Promise<unknown> = () => Promise.resolve({})) {
  const live = new FakeLiveUpdates();
  const get = vi.fn(() => Promise.resolve({ choices: [1] }));
  const votes = new OwnVotesStore({ get, put } as unknown as Api, live);
  return { live, get, votes };
}

it('loads own votes once per connection and follows other devices', async () => {
  const { live, get, votes } = made();
  expect(votes.of(POLL)).toBeUndefined();
  await Promise.all([votes.load(POLL), votes.load(POLL)]);
  expect(votes.of(POLL)).toEqual([1]);
  live.receive({ type: 'poll.own', payload: { conversation_id: 'c', message_id: POLL, choices: [0, 2] } });
  expect(votes.of(POLL)).toEqual([0, 2]);
  // The page is being opened.
  live.greet();
  await votes.load(POLL);
  expect(get).toHaveBeenCalledTimes(1);
  live.greet();
  await votes.load(POLL);
  expect(get).toHaveBeenCalledTimes(2);
});

it('keeps a vote cast during a load', async () => {
  const { live, get, votes } = made();
  let answer: (own: { choices: number[] }) => void = () => undefined;
  get.mockImplementation(() => new Promise((resolve) => (answer = resolve)));
  const loading = votes.load(POLL);
  await votes.vote(POLL, [2]);
  live.receive({ type: 'poll.own', payload: { conversation_id: 'c', message_id: POLL, choices: [2] } });
  answer({ choices: [] });
  await loading;
  expect(votes.of(POLL)).toEqual([2]);
});

it('shows a vote at once and reverts a refused one', async () => {
  const { votes } = made(() => Promise.reject(new Error('closed')));
  await votes.load(POLL);
  const voting = votes.vote(POLL, [0]);
  expect(votes.of(POLL)).toEqual([0]);
  await expect(voting).rejects.toThrow('closed');
  expect(votes.of(POLL)).toEqual([1]);
});
