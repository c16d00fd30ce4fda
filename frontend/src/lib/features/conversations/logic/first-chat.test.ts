import { beforeEach, expect, it } from 'vitest';
import type { Conversation, NewConversation } from '#lib/api/types.ts';
import { FirstChat } from './first-chat.ts';

const WISH: NewConversation = { kind: 'assistant', assistant_id: 'ada' };

/** Fake server that creates one conversation per `client_id` and loses the responses that the test selects. */
class Server {
  readonly made = new Map<string, Conversation>();
  loses = 0;

  readonly create = ({ client_id }: NewConversation): Promise<Conversation> => {
    const id = client_id ?? `unnamed ${this.made.size}`;
    const chat = this.made.get(id) ?? ({ id, last_message: null } as Conversation);
    this.made.set(id, chat);
    if (this.loses === 0) return Promise.resolve(chat);
    this.loses -= 1;
    return Promise.reject(new Error('no answer'));
  };
}

const kept = new Map<string, string>();
const storage = {
  getItem: (key: string) => kept.get(key) ?? null,
  setItem: (key: string, value: string) => void kept.set(key, value),
  removeItem: (key: string) => void kept.delete(key)
};

beforeEach(() => kept.clear());

it('creates one chat if the response is lost and the question repeated', async () => {
  const server = new Server();
  const first = new FirstChat(storage);
  server.loses = 2;
  await expect(first.createOnce(WISH, server.create)).rejects.toThrow();
  await expect(first.createOnce(WISH, server.create)).rejects.toThrow();
  const chat = await first.createOnce(WISH, server.create);
  expect([...server.made.values()]).toEqual([chat]);
});

it('finds the chat again after a reload, and in memory without storage', async () => {
  const server = new Server();
  const chat = await new FirstChat(storage).createOnce(WISH, server.create);
  expect(await new FirstChat(storage).createOnce(WISH, server.create)).toBe(chat);
  const without = new FirstChat(undefined);
  expect(await without.createOnce(WISH, server.create)).toBe(await without.createOnce(WISH, server.create));
});

it('creates another chat for the next question, another assistant, or when the first was used', async () => {
  const server = new Server();
  const first = new FirstChat(storage);
  const chat = await first.createOnce(WISH, server.create);
  first.done();
  const next = await first.createOnce(WISH, server.create);
  expect(next.id).not.toBe(chat.id);
  const other = await first.createOnce({ ...WISH, assistant_id: 'bob' }, server.create);
  expect(other.id).not.toBe(next.id);
  server.made.set(other.id, { ...other, last_message: {} } as Conversation);
  const fresh = await first.createOnce({ ...WISH, assistant_id: 'bob' }, server.create);
  expect(fresh.id).not.toBe(other.id);
  expect(fresh.last_message).toBeNull();
});

it('ignores damaged storage', async () => {
  kept.set('natter.first-chat', '{');
  expect(await new FirstChat(storage).createOnce(WISH, new Server().create)).toMatchObject({ last_message: null });
});
