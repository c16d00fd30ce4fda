import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError, type Api } from '#lib/api/client.ts';
import type { Message } from '#lib/api/types.ts';
import { created, frame, message, ModelServer } from '../testing.ts';
import { MessageRequests } from '../message-requests.ts';
import { MessagesStore } from './messages.svelte.ts';
import { FakeFiles, FakeLiveUpdates, MemoryOutboxStorage } from '../store-testing.ts';
import { ThreadLog } from '#lib/features/threads/thread-log.svelte.ts';

const settled = () => vi.advanceTimersByTimeAsync(0);

async function open(server = new ModelServer()) {
  const live = new FakeLiveUpdates();
  const get = vi.fn((path: string, query: { before_seq?: number; limit?: number } = {}): Promise<unknown> => {
    const one = /^\/messages\/(.+)$/.exec(path);
    if (one) return Promise.resolve(server.messages.find((other) => other.id === one[1]));
    const page = server.page(query.before_seq ?? Infinity, query.limit ?? 50);
    return Promise.resolve({ items: page.items, has_more: page.hasMore });
  });
  const patch = vi.fn<(path: string, body: unknown) => Promise<Message>>();
  const store = new MessagesStore(
    { get, patch } as unknown as Api,
    live,
    { add: vi.fn() },
    new FakeFiles(),
    new MemoryOutboxStorage()
  );
  store.open({ kind: 'user', id: 'me', name: 'Elena' });
  const log = store.conversation('c1');
  const texts = () => log.items.map((row) => row.view.content);
  return { server, live, get, patch, store, log, texts };
}

describe('MessagesStore', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it('shows the newest page, and older ones before it', async () => {
    const server = new ModelServer();
    for (let count = 0; count < 120; count++) server.create();
    const { log, texts } = await open(server);
    await log.load();
    expect(texts()).toHaveLength(80);
    expect(log.hasOlder).toBe(true);
    await log.loadOlder();
    expect(texts()).toHaveLength(120);
    expect(log.hasOlder).toBe(false);
  });

  it('renames senders when their names change', async () => {
    const { server, live, log } = await open();
    server.create();
    server.create();
    await log.load();
    const { id } = log.items[0]!.view.sender;
    live.receive({
      type: 'user.changed',
      payload: { user_id: id, display_name: 'Mai Trần', picture: null, deleted: false }
    });
    expect(log.items.map(({ view }) => view.sender.name)).toEqual(['Mai Trần', 'Mai Trần']);
  });

  it('reports a failed load and retries it', async () => {
    const { log, get } = await open();
    get.mockRejectedValueOnce(new ApiError(503, 'unavailable', 'away'));
    await log.load();
    expect(log.error).toBeInstanceOf(ApiError);
    expect(log.loading).toBe(false);
    await log.load();
    expect(log.error).toBeNull();
    expect(log.isLoaded).toBe(true);
  });

  it('requests missing events from its cursor when a gap remains', async () => {
    const { server, live, log, texts } = await open();
    server.create();
    await log.load();
    live.receive(created(3));
    await vi.advanceTimersByTimeAsync(200);
    expect(live.next()).toMatchObject({ type: 'sync', payload: { cursors: { c1: 1 } } });
    live.receive(created(2));
    expect(texts()).toEqual(['text 1', 'text 2', 'text 3']);
  });

  it('repeats a sync whose response was lost', async () => {
    const { server, live, log } = await open();
    server.create();
    await log.load();
    live.receive(created(3));
    await vi.advanceTimersByTimeAsync(200);
    live.next().reject(new Error('no answer'));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(live.next()).toMatchObject({ type: 'sync', payload: { cursors: { c1: 1 } } });
  });

  it('does not sync when the missing event was only late', async () => {
    const { server, live, log } = await open();
    server.create();
    await log.load();
    live.receive(created(3));
    live.receive(created(2));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(live.requests).toEqual([]);
  });

  it('syncs after a hello with newer events and after a resync', async () => {
    const { server, live, log } = await open();
    server.create();
    await log.load();
    live.greet([{ id: 'c1', last_seq: 1 }]);
    await settled();
    expect(live.requests).toEqual([]);
    live.greet([{ id: 'c1', last_seq: 2 }]);
    await settled();
    const asked = live.next();
    expect(asked.payload).toEqual({ cursors: { c1: 1 } });
    live.receive(created(2));
    asked.resolve({});
    await settled();
    live.receive({ type: 'resync', payload: { conversation_ids: null } });
    await settled();
    expect(live.next().payload).toEqual({ cursors: { c1: 2 } });
  });

  it('reloads a conversation when the log no longer reaches back', async () => {
    const { server, live, log, texts } = await open();
    server.create();
    await log.load();
    server.create();
    server.create();
    live.receive(created(3));
    await vi.advanceTimersByTimeAsync(200);
    live.refuse('cursor_expired');
    live.receive({
      type: 'sync.done',
      payload: { conversations: [], refused: [{ id: 'c1', code: 'cursor_expired' }] }
    });
    await settled();
    expect(texts()).toEqual(['text 1', 'text 2', 'text 3']);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(live.requests).toEqual([]);
  });

  it('stops syncing a conversation that the user has left', async () => {
    const { server, live, store, log } = await open();
    server.create();
    await log.load();
    live.receive({ type: 'resync', payload: { conversation_ids: null } });
    await settled();
    live.refuse('not_found');
    live.receive({ type: 'sync.done', payload: { conversations: [], refused: [{ id: 'c1', code: 'not_found' }] } });
    live.greet([{ id: 'c1', last_seq: 9 }]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(live.requests).toEqual([]);
    expect(store.conversation('c1')).not.toBe(log);
  });

  it('retries a failed load after a reconnect', async () => {
    const { server, live, log, get, texts } = await open();
    server.create();
    get.mockRejectedValueOnce(new ApiError(0, 'network', 'away'));
    await log.load();
    live.greet();
    await settled();
    expect(texts()).toEqual(['text 1']);
  });

  it('fetches an answer with a gap in its text', async () => {
    const { server, live, log, texts } = await open();
    const answer = server.create({ status: 'streaming', content: '' });
    await log.load();
    const piece = (offset: number, text: string) =>
      live.receive({ type: 'message.delta', payload: { conversation_id: 'c1', message_id: answer.id, offset, text } });
    piece(0, 'One ');
    piece(8, 'three');
    await vi.advanceTimersByTimeAsync(150);
    expect(texts()).toEqual(['One ']);
    server.store(answer.id, 'One two ');
    await vi.advanceTimersByTimeAsync(400);
    expect(texts()).toEqual(['One two three']);
  });

  it('fetches such an answer with increasing delays', async () => {
    const { server, live, log, get } = await open();
    const answer = server.create({ status: 'streaming', content: '' });
    await log.load();
    get.mockRejectedValue(new ApiError(0, 'network', 'away'));
    live.receive({
      type: 'message.delta',
      payload: { conversation_id: 'c1', message_id: answer.id, offset: 5, text: ' there' }
    });
    get.mockClear();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(get.mock.calls.length).toBeLessThan(25);
  });

  it('drops an older page that arrives after a reload', async () => {
    const server = new ModelServer();
    for (let count = 0; count < 120; count++) server.create();
    const { log, get, texts } = await open(server);
    await log.load();
    let arrive: () => void = () => undefined;
    const older = server.page(41, 100);
    get.mockImplementationOnce(async () => {
      await new Promise<void>((resolve) => (arrive = resolve));
      return { items: older.items, has_more: older.hasMore };
    });
    const loading = log.loadOlder();
    for (let count = 0; count < 1_000; count++) server.create();
    await log.reloadFromStart();
    arrive();
    await loading;
    expect([texts().length, texts()[0], log.hasOlder]).toEqual([80, 'text 1041', true]);
    await log.loadOlder();
    expect(texts()[0]).toBe('text 941');
  });

  it('finds text written during the load of the page, even if no event follows', async () => {
    const { server, log, texts } = await open();
    const answer = server.create({ status: 'streaming', content: '' });
    await log.load();
    server.store(answer.id, 'One two');
    await vi.advanceTimersByTimeAsync(2_000);
    expect(texts()).toEqual(['One two']);
  });

  it('shows a chunk before the event that completes the answer', async () => {
    const { server, live, log, texts } = await open();
    const answer = server.create({ status: 'streaming', content: '' });
    await log.load();
    live.receive({
      type: 'message.delta',
      payload: { conversation_id: 'c1', message_id: answer.id, offset: 0, text: 'One' }
    });
    const done: Message = { ...answer, content: 'One.', status: 'complete' };
    live.receive(frame('message.completed', { seq: 2, message: done }));
    await vi.advanceTimersByTimeAsync(500);
    expect(texts()).toEqual(['One.']);
  });

  it('keeps reasoning while the answer streams and drops it with another version', async () => {
    const { server, live, log } = await open();
    const answer = server.create({ status: 'streaming', content: '' });
    await log.load();
    live.receive({
      type: 'message.thought',
      payload: { conversation_id: 'c1', message_id: answer.id, offset: 0, text: 'Let me see.' }
    });
    expect(log.thoughts.get(answer.id)?.text).toBe('Let me see.');
    live.receive(frame('message.completed', { seq: 2, message: { ...answer, content: 'One.', status: 'complete' } }));
    expect(log.thoughts.has(answer.id)).toBe(true);
    live.receive(frame('message.updated', { seq: 3, message: answer }));
    expect(log.thoughts.has(answer.id)).toBe(false);
  });

  it('acknowledges several deliveries once', async () => {
    const { live } = await open();
    live.receive(created(1));
    live.receive(created(2));
    live.receive(created(3, { sender: { kind: 'user', id: 'me', name: 'Elena' } }));
    await vi.advanceTimersByTimeAsync(500);
    expect(live.told).toEqual([{ type: 'receipt', payload: { conversation_id: 'c1', seq: 2, state: 'delivered' } }]);
  });

  it('acknowledges deliveries after the next hello when offline', async () => {
    const { live, store } = await open();
    live.lose();
    store.recordDelivered('c2', 7);
    await vi.advanceTimersByTimeAsync(500);
    expect(live.told).toEqual([]);
    live.greet();
    store.recordDelivered('c2', 7);
    await vi.advanceTimersByTimeAsync(500);
    expect(live.told).toEqual([{ type: 'receipt', payload: { conversation_id: 'c2', seq: 7, state: 'delivered' } }]);
  });

  it('reports the read position, never backwards, and again after a reconnect', async () => {
    const { live, log } = await open();
    log.markRead(3);
    log.markRead(2);
    live.lose();
    log.markRead(4);
    live.greet();
    expect(live.told.map((one) => one.payload.seq)).toEqual([3, 4]);
  });

  it('does not repeat a confirmed read position, because another device may have reset it', async () => {
    const { live, log } = await open();
    const read = (seq: number) =>
      live.receive({
        type: 'receipt',
        payload: { conversation_id: 'c1', user_id: 'me', delivered_seq: seq, read_seq: seq }
      });
    log.markRead(4);
    read(4);
    live.lose();
    live.greet();
    expect(live.told.map((one) => one.payload.seq)).toEqual([4]);

    live.receive({ type: 'conversation.unread', payload: { conversation_id: 'c1', read_seq: 1 } });
    live.lose();
    log.markRead(3);
    live.greet();
    expect(live.told.map((one) => one.payload.seq)).toEqual([4, 3]);
  });

  it('reports a read position again after it was reset elsewhere', async () => {
    const { live, log } = await open();
    log.markRead(4);
    await log.open(1, 4);
    log.markRead(4);
    expect(live.told.map((one) => one.payload.seq)).toEqual([4, 4]);
  });

  it('ends at its last event, even if no page contains it', async () => {
    const { server, live, log } = await open();
    server.create();
    const only = server.create();
    server.delete(only.id);
    await log.open(1, 3);
    expect(log.lastSeq).toBe(1);
    await vi.advanceTimersByTimeAsync(200);
    const asked = live.next();
    expect(asked).toMatchObject({ type: 'sync', payload: { cursors: { c1: 1 } } });
    for (const one of server.log.slice(1)) live.receive(one);
    expect(log.lastSeq).toBe(3);
    expect(log.items).toHaveLength(1);
  });

  it('reads a thread to its end when the last reply was deleted', async () => {
    const thread = { reply_count: 1, last_no: 2, last_reply_at: '2026-11-20T09:00:00.000Z', participants: [] };
    const own = { following: true, read_no: 0, unread: 2 };
    const items = [message(2, { no: 1, thread_id: 'm1' })];
    const get = () => Promise.resolve({ root: message(1, { thread }), items, has_more: false, own });
    const post = vi.fn(() => Promise.resolve({ ...own, read_no: 2, unread: 0 }));
    const api = { get, post } as unknown as Api;
    const files = new FakeFiles();
    const store = new MessagesStore(api, new FakeLiveUpdates(), { add: vi.fn() }, files, new MemoryOutboxStorage());
    const log = store.thread('c1', 'm1', ThreadLog);
    // Event 3 was its second reply, event 4 the deletion.
    await log.openThread(4);
    log.markRead(2);
    expect(post).toHaveBeenLastCalledWith('/messages/m1/thread/read', { no: 1 });
    log.markRead(log.lastSeq);
    expect(post).toHaveBeenLastCalledWith('/messages/m1/thread/read', { no: 2 });
    await settled();
    expect(log.own?.unread).toBe(0);
  });

  it('does not count an answer to an own question as unread', async () => {
    const { server, log } = await open();
    const quill = { kind: 'assistant' as const, id: 'q', name: 'Quill' };
    server.create({ sender: { kind: 'user', id: 'me', name: 'Elena' } });
    server.create({ sender: quill, reply_to: 'm1' });
    server.create();
    server.create({ sender: quill, reply_to: 'm3' });
    server.create({ sender: quill });
    await log.load();
    expect(log.items.map(({ view }) => log.countsAsUnread(view))).toEqual([false, false, true, true, true]);
  });

  it('has no last sequence number before it is loaded', async () => {
    const { log } = await open();
    log.noteLatestSeq(4);
    expect(log.lastSeq).toBe(0);
  });

  it('moves the read position of a sender to their message', async () => {
    const { live, log } = await open();
    live.receive(created(4));
    live.receive(created(5, { thread_id: 'm1' }));
    expect(log.positions.get('u1')).toEqual({ delivered: 4, read: 4 });
  });

  it('keeps the furthest position of each reader', async () => {
    const { live, log, server } = await open();
    server.create();
    await log.load();
    const at = (delivered_seq: number, read_seq: number) =>
      live.receive({ type: 'receipt', payload: { conversation_id: 'c1', user_id: 'u1', delivered_seq, read_seq } });
    at(4, 2);
    at(3, 3);
    expect(log.positions.get('u1')).toEqual({ delivered: 4, read: 3 });
  });

  it('sends over the connection and shows one message for it', async () => {
    const { live, log, texts } = await open();
    await log.load();
    log.send('mine');
    const sent = live.next();
    live.receive(
      frame('message.created', {
        seq: 1,
        message: message(1, {
          client_id: String(sent.payload.client_id),
          content: 'mine',
          sender: { kind: 'user', id: 'me', name: 'Elena' }
        })
      })
    );
    sent.resolve({ seq: 1 });
    await settled();
    expect(texts()).toEqual(['mine']);
    expect(log.items[0]?.view).toMatchObject({ own: true, sending: null });
  });

  it('does not send a message that another tab has sent', async () => {
    const { live, log, store } = await open();
    await log.load();
    live.ready = false;
    const client_id = log.send('mine');
    expect(store.outbox.waiting).toBe(1);
    live.ready = true;
    const sender = { kind: 'user' as const, id: 'me', name: 'Elena' };
    live.receive(frame('message.created', { seq: 1, message: message(1, { client_id, content: 'mine', sender }) }));
    expect(store.outbox.waiting).toBe(0);
    store.outbox.resume();
    await settled();
    expect(live.requests.filter(({ type }) => type === 'message.send')).toEqual([]);
    expect(log.items.map(({ view }) => [view.content, view.sending])).toEqual([['mine', null]]);
  });

  it('sends the mentions of an edited message', async () => {
    const { log, texts, server, patch } = await open();
    server.create();
    await log.load();
    const mentions = [{ kind: 'user' as const, id: 'u2' }];
    patch.mockResolvedValue(message(1, { content: 'for Mai', mentions }));
    const requests = new MessageRequests({ patch } as unknown as Api, log);
    await requests.edit('m1', 'for Mai', mentions);
    expect(patch).toHaveBeenLastCalledWith('/messages/m1', { content: 'for Mai', mentions });
    expect(texts()).toEqual(['for Mai']);
    expect(log.items[0]?.view.mentions).toEqual(mentions);
    await requests.edit('m1', '@all', [{ kind: 'all' }], true);
    expect(patch.mock.lastCall?.[1]).toEqual({ content: '@all', mentions: [{ kind: 'all' }], confirm: true });
  });

  it('keeps the ten latest conversations and reloads others', async () => {
    const { server, store, live, get } = await open();
    server.create();
    const visit = async (id: string) => {
      const leave = store.show(id);
      await store.conversation(id).open(0, 1);
      return leave;
    };
    const loaded = (count: number) =>
      Array.from({ length: count }, (_, at) => `c${at + 1}`).filter((id) => store.conversation(id).isLoaded);
    for (let at = 1; at <= 10; at++) (await visit(`c${at}`))();
    // The first conversation is shown again, so the second one is the least recent.
    (await visit('c1'))();
    expect(get).toHaveBeenCalledTimes(10);
    (await visit('c11'))();
    expect(loaded(11)).toEqual(['c1', 'c3', 'c4', 'c5', 'c6', 'c7', 'c8', 'c9', 'c10', 'c11']);
    const second = store.conversation('c2');
    expect([second.items, second.find('m1')]).toEqual([[], null]);
    // Events in an unloaded conversation are loaded with it, not before.
    server.create();
    live.receive({ ...created(2), payload: { ...created(2).payload, conversation_id: 'c2' } });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(live.requests).toEqual([]);
    (await visit('c2'))();
    expect(second.items.map(({ view }) => view.content)).toEqual(['text 1', 'text 2']);
  });

  it('keeps visible conversations, those with unsent messages and those with drafts', async () => {
    const { server, store, live } = await open();
    server.create();
    store.isBegun = (id) => id === 'c3';
    live.ready = false;
    const visit = async (id: string) => {
      const leave = store.show(id);
      await store.conversation(id).open(0, 1);
      return leave;
    };
    await visit('c1');
    (await visit('c2'))();
    store.conversation('c2').send('not yet');
    for (let at = 3; at <= 20; at++) (await visit(`c${at}`))();
    const loaded = Array.from({ length: 20 }, (_, at) => store.conversation(`c${at + 1}`).isLoaded);
    expect(loaded.flatMap((isLoaded, at) => (isLoaded ? [at + 1] : []))).toEqual([1, 2, 3, 14, 15, 16, 17, 18, 19, 20]);
    expect(store.conversation('c2').items.at(-1)?.view.content).toBe('not yet');
  });
});
