import { afterEach, describe, expect, it, vi } from 'vitest';
import { Api } from './client.ts';
import { subjectOf, MutationQueue } from './mutation-queue.ts';

afterEach(() => vi.useRealTimers());

/** Server that answers when the test tells it to. */
function slowServer() {
  const asked: { what: string; answer: (status: number) => void }[] = [];
  const fetch = (input: RequestInfo | URL, init?: RequestInit) =>
    new Promise<Response>((resolve) => {
      const answer = (status: number) => resolve(new Response('{"data":{}}', { status }));
      asked.push({ what: `${init?.method} ${String(input)}`, answer });
    });
  return { asked, api: new Api({ fetch: fetch as typeof globalThis.fetch }) };
}

const saved = (id: string) => `/messages/${id}/saved` as const;
const own = (id: string) => `/conversations/${id}/own` as const;
const settled = () => new Promise((resolve) => setTimeout(resolve));

describe('MutationQueue', () => {
  it('sends mutations of one subject in order, and others in parallel', async () => {
    const { asked, api } = slowServer();
    const first = api.put(saved('m1'));
    const second = api.delete(saved('m1'));
    const other = api.put(saved('m2'));
    await settled();
    expect(asked.map(({ what }) => what)).toEqual(['PUT /r1/messages/m1/saved', 'PUT /r1/messages/m2/saved']);
    asked[1]?.answer(200);
    await other;
    asked[0]?.answer(200);
    await first;
    await settled();
    expect(asked[2]?.what).toBe('DELETE /r1/messages/m1/saved');
    asked[2]?.answer(200);
    await second;
  });

  it('continues after a failed mutation', async () => {
    const { asked, api } = slowServer();
    const first = api.patch(own('c1'), { pinned: true });
    const second = api.patch(own('c1'), { pinned: false });
    asked[0]?.answer(409);
    await expect(first).rejects.toThrow();
    await settled();
    asked[1]?.answer(200);
    await second;
  });

  it('stops waiting for a response after 25 seconds', async () => {
    vi.useFakeTimers();
    const turns = new MutationQueue();
    void turns.run('a', () => new Promise<void>(() => undefined));
    const act = vi.fn(() => Promise.resolve('done'));
    const second = turns.run('a', act);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(act).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(15_000);
    await expect(second).resolves.toBe('done');
  });
});

it('derives one subject for all methods on an entity and for opposite actions', () => {
  expect(subjectOf('GET', '/saved')).toBeNull();
  expect(subjectOf('POST', '/conversations/c1/messages')).toBeNull();
  expect(subjectOf('DELETE', '/notes/n1?version=3')).toBe(subjectOf('PUT', '/notes/n1'));
  expect(subjectOf('POST', '/conversations/c1/read')).toBe(subjectOf('POST', '/conversations/c1/unread'));
  expect(subjectOf('POST', '/conversations/c1/join')).not.toBe(subjectOf('POST', '/conversations/c2/leave'));
});
