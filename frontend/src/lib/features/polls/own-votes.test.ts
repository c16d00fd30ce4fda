import { expect, it, vi } from 'vitest';
import type { Api } from '#lib/api/client.ts';
import { OwnVotes } from './own-votes.svelte.ts';
import { FakeLine } from '#lib/features/conversations/store-testing.ts';

const POLL = 'm1';

function made(put: () => Promise<unknown> = () => Promise.resolve({})) {
  const line = new FakeLine();
  const get = vi.fn(() => Promise.resolve({ choices: [1] }));
  const votes = new OwnVotes({ get, put } as unknown as Api, line);
  return { line, get, votes };
}

it('learns what one has chosen, once for each connection, and hears it from other devices', async () => {
  const { line, get, votes } = made();
  expect(votes.of(POLL)).toBeUndefined();
  await Promise.all([votes.load(POLL), votes.load(POLL)]);
  expect(votes.of(POLL)).toEqual([1]);
  line.receive({ type: 'poll.own', payload: { conversation_id: 'c', message_id: POLL, choices: [0, 2] } });
  expect(votes.of(POLL)).toEqual([0, 2]);
  // The page is just opening.
  line.greet();
  await votes.load(POLL);
  expect(get).toHaveBeenCalledTimes(1);
  line.greet();
  await votes.load(POLL);
  expect(get).toHaveBeenCalledTimes(2);
});

it('shows what was chosen while it was asked what had been', async () => {
  const { line, get, votes } = made();
  let answer: (own: { choices: number[] }) => void = () => undefined;
  get.mockImplementation(() => new Promise((resolve) => (answer = resolve)));
  const loading = votes.load(POLL);
  await votes.vote(POLL, [2]);
  line.receive({ type: 'poll.own', payload: { conversation_id: 'c', message_id: POLL, choices: [2] } });
  answer({ choices: [] });
  await loading;
  expect(votes.of(POLL)).toEqual([2]);
});

it('shows a vote at once, and takes it back where it is refused', async () => {
  const { votes } = made(() => Promise.reject(new Error('closed')));
  await votes.load(POLL);
  const voting = votes.vote(POLL, [0]);
  expect(votes.of(POLL)).toEqual([0]);
  await expect(voting).rejects.toThrow('closed');
  expect(votes.of(POLL)).toEqual([1]);
});
