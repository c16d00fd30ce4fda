import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Api, ApiError } from '#lib/api/client.ts';
import { m } from '#lib/paraglide/messages.js';
import { StreamSocket } from './stream-socket.ts';

const { toast } = vi.hoisted(() => ({ toast: vi.fn() }));
vi.mock('#lib/ui/toast/toast.svelte.ts', () => ({ toast }));

/** Response of a server that doesn't end. */
class Stream {
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  readonly body = new ReadableStream<Uint8Array>({ start: (controller) => void (this.#controller = controller) });

  write(text: string) {
    this.#controller?.enqueue(new TextEncoder().encode(text));
  }
  end() {
    this.#controller?.close();
  }
}

let streams: Stream[];
let asked: { path: string; lastEventId: string | undefined }[];
let api: Api;
let socket: StreamSocket;
let said: Record<string, unknown>[];
let closed: number[];

const ask: typeof fetch = (path, init) => {
  const stream = new Stream();
  streams.push(stream);
  const headers = init?.headers as Record<string, string>;
  asked.push({ path: path as string, lastEventId: headers['last-event-id'] });
  return Promise.resolve(new Response(stream.body));
};

const settled = () => vi.waitFor(() => Promise.resolve());
const event = (type: string, payload: object, id?: string) =>
  `event: ${type}\n${id ? `id: ${id}\n` : ''}data: ${JSON.stringify({ id: 'e', type, timestamp: '', payload })}\n\n`;
const send = (type: string, payload: object) => socket.send(JSON.stringify({ id: 'r1', type, payload }));

beforeEach(() => {
  [streams, asked, said, closed] = [[], [], [], []];
  api = new Api({ fetch: () => Promise.reject(new Error('no network here')) });
  socket = new StreamSocket(api, ask);
  socket.onmessage = ({ data }) => said.push(JSON.parse(data as string) as Record<string, unknown>);
  socket.onclose = ({ code }) => closed.push(code);
});

afterEach(() => socket.close());

it('parses events from any chunks and reports the end', async () => {
  streams[0]?.write(event('hello', { heartbeat_seconds: 25 }).slice(0, 20));
  streams[0]?.write(`${event('hello', { heartbeat_seconds: 25 }).slice(20)}:\n\n${event('typing', {})}`);
  await vi.waitFor(() => expect(said.map(({ type }) => type)).toEqual(['hello', 'typing']));
  streams[0]?.end();
  await vi.waitFor(() => expect(closed).toEqual([1006]));
});

it('sends by HTTP requests and answers like a socket', async () => {
  streams[0]?.write(event('hello', {}));
  const post = vi.spyOn(api, 'post').mockResolvedValue({ id: 'm1', seq: 7 });
  send('message.send', { conversation_id: 'c1', client_id: 'x', content: 'Hi' });
  await vi.waitFor(() =>
    expect(said.at(-1)).toMatchObject({ type: 'ack', reply_to: 'r1', payload: { message_id: 'm1', seq: 7 } })
  );
  expect(post).toHaveBeenCalledWith('/conversations/c1/messages', { client_id: 'x', content: 'Hi' });
  post.mockRejectedValue(new ApiError(403, 'forbidden', 'No.', undefined, [], 3, { count: 40 }));
  send('message.send', { conversation_id: 'c1', client_id: 'y', content: 'Hi' });
  await vi.waitFor(() =>
    expect(said.at(-1)).toMatchObject({
      type: 'error',
      payload: { code: 'forbidden', retry_after: 3, details: { count: 40 } }
    })
  );
  post.mockResolvedValue(undefined);
  send('receipt', { conversation_id: 'c1', seq: 9, state: 'read' });
  send('receipt', { conversation_id: 'c1', seq: 10, state: 'delivered' });
  expect(post).toHaveBeenLastCalledWith('/conversations/c1/read', { seq: 9 });
  send('ping', {});
  await vi.waitFor(() => expect(said.at(-1)).toMatchObject({ type: 'pong', reply_to: 'r1' }));
  post.mockRejectedValue(new ApiError(0, 'unreachable', ''));
  send('message.send', { conversation_id: 'c1', client_id: 'z', content: 'Hi' });
  await vi.waitFor(() => expect(closed).toEqual([1006]));
});

it('catches up page by page and reports refused conversations', async () => {
  const log = (...seqs: number[]) =>
    seqs.map((seq) => ({ seq, type: 'message.created', payload: { seq }, created_at: '' }));
  vi.spyOn(api, 'get').mockImplementation((path, ...[query]) => {
    if (path.includes('gone')) return Promise.reject(new ApiError(404, 'not_found', ''));
    const { after_seq } = query as { after_seq: number };
    const answer = after_seq === 1 ? { items: log(2, 3), has_more: true } : { items: log(4), has_more: false };
    return Promise.resolve(answer as never);
  });
  send('sync', { cursors: { c1: 1, gone: 5 } });
  await vi.waitFor(() => expect(said.at(-1)?.type).toBe('sync.done'));
  expect(said.slice(0, -1).map(({ payload }) => (payload as { seq: number }).seq)).toEqual([2, 3, 4]);
  expect(said.at(-1)?.payload).toEqual({ refused: [{ id: 'gone', code: 'not_found' }] });
});

it('resumes after a change of the viewed conversation without a second hello', async () => {
  streams[0]?.write(event('hello', {}) + event('message.created', {}, '17.2.c1'));
  await vi.waitFor(() => expect(said).toHaveLength(2));
  send('view', { conversation_ids: ['c2'] });
  await vi.waitFor(() => expect(asked).toHaveLength(2), { timeout: 2000 });
  expect(asked[1]).toEqual({ path: '/r1/events?view=c2', lastEventId: '17.2.c1' });
  streams[1]?.write(
    event('hello', {}) + event('message.created', {}, '18.3.c1') + event('sync.done', {}) + event('typing', {})
  );
  await vi.waitFor(() =>
    expect(said.map(({ type }) => type)).toEqual(['hello', 'message.created', 'message.created', 'typing'])
  );
  await settled();
  expect(closed).toEqual([]);
});

it('falls back to long polling if a proxy buffers the stream', async () => {
  vi.useFakeTimers();
  try {
    const passed = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds);
    socket.close();
    [streams, asked, closed] = [[], [], []];
    const held = new StreamSocket(api, ask);
    held.onmessage = ({ data }) => said.push(JSON.parse(data as string) as Record<string, unknown>);
    held.onclose = ({ code }) => closed.push(code);
    await passed(5_000);
    expect(asked.map(({ path }) => path)).toEqual(['/r1/events', '/r1/events?wait=20']);
    streams[1]?.write(event('hello', {}, '17'));
    streams[1]?.end();
    await passed(2_000);
    expect([said.map(({ type }) => type), asked[2]]).toEqual([
      ['hello'],
      { path: '/r1/events?wait=20', lastEventId: '17' }
    ]);
    streams[2]?.write(event('hello', {}) + event('message.created', {}, '18.1.c1') + event('sync.done', {}, '18'));
    streams[2]?.end();
    await passed(2_000);
    expect([said.map(({ type }) => type), asked[3]?.lastEventId]).toEqual([['hello', 'message.created'], '18']);
    // The next connection uses polling at once.
    held.close();
    socket = new StreamSocket(api, ask);
    expect([asked.at(-1)?.path, closed]).toEqual(['/r1/events?wait=20', []]);
  } finally {
    vi.useRealTimers();
  }
});

it('explains the slower connection once, after the first data', async () => {
  vi.resetModules();
  toast.mockClear();
  const kept = new Map<string, string>();
  vi.stubGlobal('sessionStorage', {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value)
  });
  const open = async () => {
    const { StreamSocket } = await import('./stream-socket.ts');
    const one = new StreamSocket(api, ask);
    const heard = vi.fn();
    one.onmessage = heard;
    return { one, heard, stream: streams.at(-1) };
  };
  const [first, second] = [await open(), await open()];
  expect(toast).not.toHaveBeenCalled();
  for (const { stream } of [first, second]) stream?.write(event('hello', {}));
  await vi.waitFor(() => expect([first.heard.mock.calls.length, second.heard.mock.calls.length]).toEqual([1, 1]));
  expect(toast.mock.calls).toEqual([[m.live_blocked()]]);
  // After a reload, the tab still knows that the notice was shown.
  vi.resetModules();
  const third = await open();
  third.stream?.write(event('hello', {}));
  await vi.waitFor(() => expect(third.heard).toHaveBeenCalledOnce());
  expect(toast).toHaveBeenCalledOnce();
  for (const { one } of [first, second, third]) one.close();
  vi.unstubAllGlobals();
});
