import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError, type Api } from '#lib/api/client.ts';
import type { Draft } from '#lib/features/scheduling/api.ts';
import type { ServerFrame } from '#lib/api/types.ts';
import { DraftSync, unsyncedDrafts } from './draft-sync.svelte.ts';
import { DraftsStore, FIRST_QUESTION } from './drafts.svelte.ts';

const iso = (at: number) => new Date(at).toISOString();

/** Fake server with one draft per conversation. The newest version wins. */
class Server {
  rows = new Map<string, Draft>();
  isAway = false;
  readonly put = vi.fn(
    (path: string, body: { content: string; thread_id?: string; reply_to?: string; updated_at?: string }) => {
      if (this.isAway) return Promise.reject(new ApiError(0, 'network', 'away'));
      const conversation_id = path.split('/')[2] ?? '';
      const key = [conversation_id, body.thread_id].join('/');
      const draft = {
        conversation_id,
        thread_id: body.thread_id ?? null,
        content: body.content,
        reply_to: body.reply_to ?? null,
        updated_at: body.updated_at ?? iso(Date.now())
      };
      const have = this.rows.get(key);
      if (have && have.updated_at > draft.updated_at) return Promise.resolve(have);
      this.rows.set(key, draft);
      return Promise.resolve(draft);
    }
  );
  readonly get = vi.fn(() => {
    if (this.isAway) return Promise.reject(new ApiError(0, 'network', 'away'));
    const items = [...this.rows.values()].filter(({ content }) => content !== '');
    return Promise.resolve({ items, total: items.length });
  });
}

class MemoryStorage {
  readonly items = new Map<string, string>();
  get length() {
    return this.items.size;
  }
  key = (index: number) => [...this.items.keys()][index] ?? null;
  getItem = (key: string) => this.items.get(key) ?? null;
  setItem = (key: string, value: string) => void this.items.set(key, value);
  removeItem = (key: string) => void this.items.delete(key);
}

function open(server: Server, storage?: MemoryStorage) {
  const drafts = new DraftsStore(storage);
  drafts.open('me');
  const handlers: ((frame: ServerFrame) => void)[] = [];
  const live = {
    ready: true,
    on: (handler: (frame: ServerFrame) => void) => (handlers.push(handler), () => undefined)
  };
  const sync = new DraftSync(server as unknown as Api, live, drafts, 'me', () => undefined, storage);
  const tell = (draft: Draft) =>
    handlers.forEach((hear) =>
      hear({ id: '1', type: 'draft.updated', timestamp: iso(Date.now()), payload: draft } as unknown as ServerFrame)
    );
  return { drafts, live, sync, tell };
}

describe('draft synchronisation', () => {
  beforeEach(() => vi.useFakeTimers({ now: 1_800_000_000_000 }));
  afterEach(() => vi.useRealTimers());

  it('sends a draft after typing pauses, and that of a thread by its root message', async () => {
    const server = new Server();
    const { drafts } = open(server);
    for (const text of ['h', 'ha', 'half']) drafts.set('c1', text);
    drafts.set('c1/m1', 'in the thread');
    expect(server.put).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(server.put).toHaveBeenCalledTimes(2);
    expect(server.put).toHaveBeenCalledWith('/conversations/c1/draft', { content: 'half' });
    expect(server.put).toHaveBeenCalledWith('/conversations/c1/draft', { content: 'in the thread', thread_id: 'm1' });
  });

  it('keeps a draft that the server refuses, and after the session ends', async () => {
    const server = new Server();
    const { drafts, sync } = open(server);
    server.put.mockRejectedValueOnce(new ApiError(404, 'not_found', 'no such conversation'));
    drafts.set('gone', 'a late answer');
    await vi.advanceTimersByTimeAsync(1_000);
    server.put.mockRejectedValueOnce(new ApiError(401, 'unauthenticated', 'signed out'));
    drafts.set('c1', 'half a thou');
    await vi.advanceTimersByTimeAsync(1_000);
    await sync.exchange();
    expect(drafts.get('gone')).toBe('a late answer');
    expect(drafts.get('c1')).toBe('half a thou');
    await vi.advanceTimersByTimeAsync(0);
    expect(server.rows.get('c1/')?.content).toBe('half a thou');
  });

  it('does not upload the draft of a first question, whose conversation does not exist yet', async () => {
    const server = new Server();
    const storage = new MemoryStorage();
    const { drafts, sync } = open(server, storage);
    drafts.set(FIRST_QUESTION, 'a first question');
    await vi.advanceTimersByTimeAsync(1_000);
    await sync.exchange();
    await vi.advanceTimersByTimeAsync(0);
    expect(server.put).not.toHaveBeenCalled();
    expect(drafts.get(FIRST_QUESTION)).toBe('a first question');
    expect(unsyncedDrafts(storage, 'me')).toEqual([FIRST_QUESTION]);
  });

  it('takes drafts of other devices unless the local one is newer', async () => {
    const server = new Server();
    const { drafts, tell } = open(server);
    const draft = (content: string, at: number): Draft => ({
      conversation_id: 'c1',
      thread_id: null,
      reply_to: null,
      content,
      updated_at: iso(at)
    });
    tell(draft('from the phone', Date.now()));
    expect(drafts.get('c1')).toBe('from the phone');
    expect(drafts.adopted).toEqual({ key: 'c1', text: 'from the phone' });
    await vi.advanceTimersByTimeAsync(100);
    drafts.set('c1', 'from here');
    tell(draft('late from the phone', Date.now() - 50));
    expect(drafts.get('c1')).toBe('from here');
    await vi.advanceTimersByTimeAsync(1_000);
    tell(draft('', Date.now() + 1));
    expect(drafts.get('c1')).toBe('');
  });

  it('synchronises the quoted message with the draft', async () => {
    const server = new Server();
    const { drafts } = open(server);
    drafts.setReply('c1', 'm1');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(server.put).not.toHaveBeenCalled();
    drafts.set('c1', 'I agree');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(server.rows.get('c1/')).toMatchObject({ content: 'I agree', reply_to: 'm1' });
    const other = open(server);
    await other.sync.exchange();
    expect([other.drafts.get('c1'), other.drafts.replyOf('c1')]).toEqual(['I agree', 'm1']);
    // The draft replies to another message, then to none.
    drafts.setReply('c1', 'm2');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(server.rows.get('c1/')?.reply_to).toBe('m2');
    drafts.setReply('c1', null);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(server.rows.get('c1/')?.reply_to).toBeNull();
  });

  it('does not restore a sent draft from a delayed response', async () => {
    const server = new Server();
    const { drafts, tell } = open(server);
    let arrive: () => void = () => undefined;
    const way = new Promise<void>((resolve) => (arrive = resolve));
    const { put } = server;
    const told = put.getMockImplementation();
    put.mockImplementationOnce(async (path, body) => {
      await way;
      const draft = await told?.(path, body);
      if (!draft) throw new Error('nothing was told');
      tell(draft);
      return draft;
    });
    drafts.set('c1', 'Hello');
    await vi.advanceTimersByTimeAsync(1_000);
    drafts.set('c1', '');
    await vi.advanceTimersByTimeAsync(1_000);
    arrive();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(put).toHaveBeenCalledTimes(2);
    expect(server.rows.get('c1/')?.content).toBe('');
    expect(drafts.get('c1')).toBe('');
    expect(drafts.adopted).toBe(null);
  });

  it('sends offline drafts with their time and yields to newer ones', async () => {
    const server = new Server();
    const { drafts, live, sync } = open(server);
    live.ready = false;
    const then = Date.now();
    drafts.set('c1', 'in a tunnel');
    drafts.set('c2', 'older');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.put).not.toHaveBeenCalled();
    server.rows.set('c2/', {
      conversation_id: 'c2',
      thread_id: null,
      content: 'newer',
      reply_to: null,
      updated_at: iso(Date.now())
    });
    live.ready = true;
    await sync.exchange();
    await vi.advanceTimersByTimeAsync(0);
    expect(server.put).toHaveBeenCalledWith('/conversations/c1/draft', {
      content: 'in a tunnel',
      updated_at: iso(then)
    });
    expect(drafts.get('c2')).toBe('newer');
    // The draft was sent or discarded on another device.
    server.rows.clear();
    await sync.exchange();
    expect([drafts.get('c1'), drafts.get('c2')]).toEqual(['', '']);
  });

  it('keeps drafts while the server is away', async () => {
    const server = new Server();
    server.isAway = true;
    const { drafts, sync } = open(server);
    drafts.set('c1', 'text');
    await vi.advanceTimersByTimeAsync(1_000);
    await sync.exchange();
    expect(drafts.get('c1')).toBe('text');
    server.isAway = false;
    await sync.exchange();
    await vi.advanceTimersByTimeAsync(0);
    expect(server.rows.get('c1/')?.content).toBe('text');
  });

  it('retries a draft after a lost response without further typing', async () => {
    const server = new Server();
    const { drafts, sync } = open(server);
    server.put.mockRejectedValueOnce(new ApiError(0, 'timeout', ''));
    drafts.set('c1', 'half a sentence');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(server.rows.get('c1/')).toBeUndefined();
    await vi.advanceTimersByTimeAsync(15_000);
    expect(server.rows.get('c1/')?.content).toBe('half a sentence');
    server.put.mockRejectedValueOnce(new ApiError(503, 'unavailable', ''));
    drafts.set('c1', 'a sentence');
    await vi.advanceTimersByTimeAsync(1_000);
    sync.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.rows.get('c1/')?.content).toBe('half a sentence');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('lists drafts that only this browser has', async () => {
    const server = new Server();
    const storage = new MemoryStorage();
    const { drafts, live } = open(server, storage);
    drafts.set('c1', 'told');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(unsyncedDrafts(storage, 'me')).toEqual([]);
    live.ready = false;
    drafts.set('c1', 'told, and more');
    drafts.set('c2', 'in a tunnel');
    drafts.set('c3', 'sent');
    drafts.set('c3', '');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(unsyncedDrafts(storage, 'me')).toEqual(['c1', 'c2']);
    expect(unsyncedDrafts(storage, 'you')).toEqual([]);
  });

  it('does not store a response that arrives after a sign-out', async () => {
    const server = new Server();
    const storage = new MemoryStorage();
    const { drafts, sync } = open(server, storage);
    const row = { conversation_id: 'c1', thread_id: null, reply_to: null, content: 'from the phone' };
    const elsewhere = { ...row, updated_at: iso(Date.now() + 60_000) };
    server.rows.set('c1/', elsewhere);
    const [asked, told] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const { get, put } = { get: server.get.getMockImplementation(), put: server.put.getMockImplementation() };
    server.get.mockImplementationOnce(() => asked.promise.then(() => get!()));
    server.put.mockImplementationOnce((path, body) => told.promise.then(() => put!(path, body)));
    drafts.set('c1', 'mine');
    await vi.advanceTimersByTimeAsync(1_000);
    const exchanged = sync.exchange();
    sync.close();
    drafts.close();
    storage.items.clear();
    asked.resolve();
    told.resolve();
    await exchanged;
    await vi.advanceTimersByTimeAsync(60_000);
    expect([...storage.items.keys()]).toEqual([]);
    expect(server.put).toHaveBeenCalledTimes(1);
  });

  it('forgets sent drafts after two hours', async () => {
    const server = new Server();
    const storage = new MemoryStorage();
    const { drafts, sync } = open(server, storage);
    for (const key of ['c1', 'c2']) drafts.set(key, 'begun');
    await vi.advanceTimersByTimeAsync(1_000);
    drafts.set('c1', '');
    await vi.advanceTimersByTimeAsync(2 * 60 * 60_000);
    await sync.exchange();
    drafts.set('c3', 'x');
    const known = JSON.parse(storage.getItem('natter.drafts.me') ?? '[]') as [string, unknown][];
    expect(known.map(([key]) => key)).toEqual(['c2', 'c3']);
  });
});
