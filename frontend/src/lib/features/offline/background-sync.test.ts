import { beforeEach, describe, expect, it } from 'vitest';
import { ApiError } from '#lib/api/client.ts';
import type { StoredFile } from '#lib/realtime/file-storage.ts';
import type { Outgoing } from '#lib/realtime/state.ts';
import { outgoing } from '#lib/features/conversations/testing.ts';
import { MemoryOutboxStorage } from '#lib/features/conversations/store-testing.ts';
import { sendPending } from './background-sync.ts';

const taken = (key: string) => ({ key, name: `${key}.png`, media_type: 'image/png', size: 7 });

class Server {
  readonly said: [string, Record<string, unknown>][] = [];
  /** Errors with which the server rejects messages, by content. */
  readonly refusals = new Map<string, ApiError>();
  me: string | ApiError = 'me';

  async get<T>(): Promise<T> {
    if (this.me instanceof ApiError) throw this.me;
    return { id: this.me } as T;
  }

  async post<T>(path: string, ...[body]: unknown[]): Promise<T> {
    const message = body as Record<string, unknown>;
    const refusal = this.refusals.get(String(message.content));
    if (refusal) throw refusal;
    this.said.push([path, message]);
    return {} as T;
  }
}

let server: Server;
let outbox: MemoryOutboxStorage;
let kept: Partial<StoredFile>[];
let dropped: string[];

const files = {
  load: async () => kept as StoredFile[],
  remove: async (_: string, key: string) => void dropped.push(key)
};
const write = (content: string, more: Partial<Outgoing> = {}, who = 'me') =>
  outbox.put(who, outgoing(`id of ${content}`, { content, conversation_id: 'c1', ...more }));
const send = () => sendPending(server, outbox, files);
const contents = () => server.said.map(([, { content }]) => content);
const left = () => [...outbox.kept.values()].map(({ content }) => content);

beforeEach(() => {
  server = new Server();
  outbox = new MemoryOutboxStorage();
  [kept, dropped] = [[], []];
});

describe('background sync', () => {
  it('sends the messages of the signed-in account in order, without failed ones', async () => {
    await write('one', { reply_to: 'm1' });
    await write('refused before', { state: 'failed' });
    await write('two', { conversation_id: 'c2', thread_id: 't1' });
    await write('three', { state: 'sending' });
    await write('of another account', {}, 'you');
    await send();
    expect(server.said).toEqual([
      ['/conversations/c1/messages', { client_id: 'id of one', content: 'one', reply_to: 'm1' }],
      ['/conversations/c2/messages', { client_id: 'id of two', content: 'two', thread_id: 't1' }],
      ['/conversations/c1/messages', { client_id: 'id of three', content: 'three' }]
    ]);
    expect(left()).toEqual(['refused before', 'of another account']);
  });

  it('leaves a conversation to the app after its first refusal', async () => {
    for (const content of ['one', 'not allowed', 'after it']) await write(content);
    await write('elsewhere', { conversation_id: 'c2' });
    server.refusals.set('not allowed', new ApiError(403, 'forbidden', ''));
    await send();
    expect(contents()).toEqual(['one', 'elsewhere']);
    expect(left()).toEqual(['not allowed', 'after it']);
  });

  it('retries after temporary errors', async () => {
    for (const [status, code] of [
      [0, 'network'],
      [429, 'slow_mode'],
      [500, 'internal'],
      [503, 'unavailable']
    ] as const) {
      await write('later');
      server.refusals.set('later', new ApiError(status, code, ''));
      await expect(send(), code).rejects.toMatchObject({ code });
      expect(left()).toEqual(['later']);
    }
    server.me = new ApiError(0, 'network', '');
    await expect(send()).rejects.toMatchObject({ code: 'network' });
    server.me = new ApiError(401, 'unauthenticated', '');
    await send();
    expect(left()).toEqual(['later']);
  });

  it('sends uploaded files and waits for the others', async () => {
    await write('with one', { files: [taken('a')] });
    await write('with another', { conversation_id: 'c2', files: [taken('a'), taken('b')] });
    kept = [
      { taken: taken('a'), upload: { id: 'upload a' } as StoredFile['upload'] },
      { taken: taken('b'), upload: null }
    ];
    await send();
    expect(server.said.map(([, message]) => [message.content, message.attachment_ids])).toEqual([
      ['with one', ['upload a']]
    ]);
    expect([left(), dropped]).toEqual([['with another'], ['a']]);
  });
});
