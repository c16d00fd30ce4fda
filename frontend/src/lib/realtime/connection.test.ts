import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Api, ApiError } from '#lib/api/client.ts';
import type { ServerFrame } from '#lib/api/types.ts';
import { Connection } from './connection.svelte.ts';
import { ConnectionLost } from './pending-requests.ts';
import type { Socket } from './socket.ts';

class FakeSocket implements Socket {
  onopen = null;
  onmessage: Socket['onmessage'] = null;
  onclose: Socket['onclose'] = null;
  onerror: Socket['onerror'] = null;
  readyState = 1;
  sent: { id: string; type: string; payload: Record<string, unknown> }[] = [];
  closedWith: number | undefined;

  send(data: string) {
    this.sent.push(JSON.parse(data));
  }
  close(code?: number) {
    this.readyState = 3;
    this.closedWith = code;
  }
  say(type: string, payload: unknown, reply_to?: string) {
    this.onmessage?.({ data: JSON.stringify({ id: 'x', type, timestamp: '', payload, reply_to }) });
  }
  hello() {
    this.say('hello', { session_id: 's', user_id: 'u', heartbeat_seconds: 25, conversations: [] });
  }
  end(code: number) {
    this.readyState = 3;
    this.onclose?.({ code });
  }
}

let sockets: FakeSocket[];
let others: FakeSocket[];
let isOnline: boolean;
let refresh: ReturnType<typeof vi.fn<() => Promise<void>>>;
let me: ReturnType<typeof vi.fn<() => Promise<unknown>>>;
let connection: Connection;

const last = () => sockets.at(-1) as FakeSocket;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('reportError', vi.fn());
  sockets = [];
  others = [];
  isOnline = true;
  refresh = vi.fn(() => Promise.resolve());
  me = vi.fn(() => Promise.resolve({}));
  const api = Object.assign(new Api({ fetch: () => Promise.reject(new Error('no network here')) }), {
    refresh,
    get: me
  });
  connection = new Connection(api, {
    open: () => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket;
    },
    loadFallback: () =>
      Promise.resolve(() => {
        const socket = new FakeSocket();
        others.push(socket);
        sockets.push(socket);
        return socket;
      }),
    random: () => 0.5,
    isOnline: () => isOnline
  });
});

afterEach(() => {
  connection.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('connection state', () => {
  it('is online after the hello, not after the socket opens', () => {
    connection.start();
    expect([connection.state, connection.ready]).toEqual(['connecting', false]);
    last().hello();
    expect([connection.state, connection.ready]).toEqual(['online', true]);
  });

  it('hides a loss shorter than two seconds', () => {
    connection.start();
    last().hello();
    last().end(1006);
    expect([connection.state, connection.ready]).toEqual(['online', false]);
    vi.advanceTimersByTime(1000);
    last().hello();
    vi.advanceTimersByTime(5000);
    expect(connection.state).toBe('online');
    expect(sockets).toHaveLength(2);
  });

  it('reports a loss after two seconds and recovers automatically', () => {
    connection.start();
    last().hello();
    last().end(1006);
    vi.advanceTimersByTime(1999);
    expect(connection.state).toBe('online');
    vi.advanceTimersByTime(2);
    expect(connection.state).toBe('reconnecting');
    last().hello();
    expect(connection.state).toBe('online');
  });

  it('goes offline and online with the browser at once', () => {
    connection.start();
    last().hello();
    isOnline = false;
    connection.networkChanged();
    expect(connection.state).toBe('offline');
    vi.advanceTimersByTime(60_000);
    expect(sockets).toHaveLength(1);
    isOnline = true;
    connection.networkChanged();
    vi.advanceTimersByTime(1);
    expect(sockets).toHaveLength(2);
    last().hello();
    expect(connection.state).toBe('online');
  });

  it('starts offline without connecting', () => {
    isOnline = false;
    connection.start();
    expect([connection.state, sockets.length]).toEqual(['offline', 0]);
  });
});

describe('frames', () => {
  it('reach every handler in order, even if one throws', () => {
    const seen: string[] = [];
    connection.on(() => {
      throw new Error('mistake');
    });
    const leave = connection.on((frame: ServerFrame) => seen.push(frame.type));
    connection.start();
    last().hello();
    last().say('typing', { conversation_id: 'c', user_id: 'u', active: true });
    last().onmessage?.({ data: 'not json' });
    last().onmessage?.({ data: new ArrayBuffer(4) });
    leave();
    last().say('typing', {});
    expect(seen).toEqual(['hello', 'typing']);
    expect(reportError).toHaveBeenCalled();
  });

  it('of a closed socket are ignored', () => {
    const seen: string[] = [];
    connection.on((frame: ServerFrame) => seen.push(frame.type));
    connection.start();
    const old = last();
    old.hello();
    const hear = old.onmessage;
    isOnline = false;
    connection.networkChanged();
    hear?.({ data: JSON.stringify({ type: 'typing', payload: {} }) });
    expect(seen).toEqual(['hello']);
  });

  it('trigger onConnect on each hello', () => {
    const hellos = vi.fn();
    connection.onConnect(hellos);
    connection.start();
    last().hello();
    last().end(1006);
    vi.advanceTimersByTime(1000);
    last().hello();
    expect(hellos).toHaveBeenCalledTimes(2);
  });

  it('trigger onStale on the first hello only for data that is not fresh', () => {
    const again = { fresh: vi.fn(), old: vi.fn(), failed: vi.fn(), never: vi.fn() };
    const now = Date.now();
    connection.onStale({ requestedAt: now }, again.fresh);
    connection.onStale({ requestedAt: now - 60_000 }, again.old);
    connection.onStale({ requestedAt: -Infinity }, again.failed);
    connection.onStale({ requestedAt: null }, again.never);
    connection.start();
    last().hello();
    const times = () => Object.values(again).map(({ mock }) => mock.calls.length);
    expect(times()).toEqual([0, 1, 1, 0]);
    last().end(1006);
    vi.advanceTimersByTime(1000);
    last().hello();
    expect(times()).toEqual([1, 2, 2, 0]);
  });

  it('trigger onStale for a new account as for the first, and after a new sign-in', () => {
    connection.start();
    last().hello();
    const again = vi.fn();
    connection.stop();
    connection.onStale({ requestedAt: Date.now() }, again);
    connection.start();
    last().hello();
    expect(again).toHaveBeenCalledOnce();
    connection.reset();
    expect(connection.isLost).toBe(false);
    connection.start();
    last().hello();
    expect(again).toHaveBeenCalledOnce();
  });

  it('tell whether the loss before the hello was visible', () => {
    connection.start();
    expect(connection.isLost).toBe(false);
    last().hello();
    last().end(1006);
    vi.advanceTimersByTime(1_000);
    expect(connection.isLost).toBe(false);
    last().hello();
    expect(connection.wasLost).toBe(false);
    isOnline = false;
    connection.networkChanged();
    expect(connection.isLost).toBe(true);
    isOnline = true;
    connection.networkChanged();
    vi.advanceTimersByTime(1_000);
    last().hello();
    expect([connection.isLost, connection.wasLost]).toEqual([false, true]);
    connection.stop();
    expect(connection.isLost).toBe(true);
  });

  it('carry the server time for devices with a wrong clock', () => {
    connection.start();
    expect(connection.now).toBe(Date.now());
    const server_time = new Date(Date.now() + 600_000).toISOString();
    last().say('hello', { session_id: 's', user_id: 'u', heartbeat_seconds: 25, server_time, conversations: [] });
    vi.advanceTimersByTime(1_000);
    expect(connection.now).toBe(Date.parse(server_time) + 1_000);
    last().hello();
    expect(connection.now).toBe(Date.parse(server_time) + 1_000);
  });

  it('tell whether the connection was away for long', () => {
    connection.start();
    last().hello();
    expect(connection.wasAway).toBe(false);
    last().end(1006);
    vi.advanceTimersByTime(1_000);
    last().hello();
    expect(connection.wasAway).toBe(false);
    isOnline = false;
    connection.networkChanged();
    vi.advanceTimersByTime(61_000);
    isOnline = true;
    connection.networkChanged();
    vi.advanceTimersByTime(0);
    last().hello();
    expect(connection.wasAway).toBe(true);
  });

  it('trigger onStale on the next hello for data loaded while connected', () => {
    connection.start();
    last().hello();
    const again = vi.fn();
    connection.onStale({ requestedAt: Date.now() }, again);
    last().end(1006);
    vi.advanceTimersByTime(1000);
    last().hello();
    expect(again).toHaveBeenCalledOnce();
  });
});

describe('requests', () => {
  it('are answered by the frame that refers to them', async () => {
    connection.start();
    last().hello();
    const [one, two] = [connection.request('message.send', { n: 1 }), connection.request('message.send', { n: 2 })];
    const [first, second] = last().sent;
    last().say('ack', { message_id: 'm2', seq: 2, duplicate: false }, second?.id);
    last().say('ack', { message_id: 'm1', seq: 1, duplicate: false }, first?.id);
    await expect(one).resolves.toMatchObject({ message_id: 'm1' });
    await expect(two).resolves.toMatchObject({ message_id: 'm2' });
  });

  it('are rejected with the code of the error', async () => {
    connection.start();
    last().hello();
    const asked = connection.request('message.send', {});
    last().say(
      'error',
      { code: 'rate_limited', message: 'slow down', retry_after: 8, details: { limit: 3 } },
      last().sent[0]?.id
    );
    const error = await asked.catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ code: 'rate_limited', retryAfter: 8, details: { limit: 3 } });
  });

  it('end with the end of a sync, not with its events', async () => {
    connection.start();
    last().hello();
    let isDone = false;
    const asked = connection.request('sync', { cursors: {} }).then(() => (isDone = true));
    const id = last().sent[0]?.id;
    last().say('message.created', { conversation_id: 'c', seq: 1 }, id);
    await Promise.resolve();
    expect(isDone).toBe(false);
    last().say('sync.done', {}, id);
    await asked;
    expect(isDone).toBe(true);
  });

  it('are rejected when the connection is lost, and at once without one', async () => {
    await expect(connection.request('ping', {})).rejects.toBeInstanceOf(ConnectionLost);
    connection.start();
    last().hello();
    const asked = connection.request('message.send', {});
    last().end(1006);
    await expect(asked).rejects.toBeInstanceOf(ConnectionLost);
  });

  it('are rejected after a timeout', async () => {
    connection.start();
    last().hello();
    const asked = connection.request('message.send', {}).catch((cause: unknown) => cause);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(await asked).toBeInstanceOf(ConnectionLost);
  });
});

describe('heartbeat', () => {
  it('pings after silence and accepts any frame as an answer', () => {
    connection.start();
    last().hello();
    vi.advanceTimersByTime(25_000);
    expect(last().sent.map((frame) => frame.type)).toEqual(['ping']);
    last().say('pong', {}, last().sent[0]?.id);
    vi.advanceTimersByTime(9000);
    expect(sockets).toHaveLength(1);
  });

  it('closes a silent socket and opens another', () => {
    connection.start();
    last().hello();
    vi.advanceTimersByTime(25_000 + 8000);
    expect(sockets[0]?.closedWith).toBe(4000);
    vi.advanceTimersByTime(1000);
    expect(sockets).toHaveLength(2);
  });

  it('pings at once when the page resumes', () => {
    connection.start();
    last().hello();
    connection.wake();
    expect(last().sent.map((frame) => frame.type)).toEqual(['ping']);
  });
});

describe('reconnect', () => {
  it('backs off up to a limit and resets after a hello', async () => {
    const waited = async () => {
      const before = sockets.length;
      last().end(1006);
      for (let milliseconds = 0; milliseconds <= 60_000; milliseconds += 25) {
        if (sockets.length > before) return milliseconds;
        await vi.advanceTimersByTimeAsync(25);
      }
      return Infinity;
    };
    connection.start();
    const waits: number[] = [];
    for (let count = 0; count < 8; count += 1) waits.push(await waited());
    expect(waits).toEqual([375, 750, 1500, 3000, 6000, 12_000, 15_000, 15_000]);
    last().hello();
    expect(await waited()).toBe(375);
  });

  it('checks the session by HTTP and continues if it is valid', async () => {
    connection.start();
    last().end(1006);
    await vi.advanceTimersByTimeAsync(500);
    last().end(1006);
    await vi.advanceTimersByTimeAsync(1000);
    expect(me).toHaveBeenCalledTimes(1);
    expect(sockets.length).toBeGreaterThanOrEqual(3);
  });

  it('stops when the session is over', async () => {
    me.mockRejectedValue(new ApiError(401, 'unauthenticated', ''));
    connection.start();
    last().end(1006);
    await vi.advanceTimersByTimeAsync(500);
    last().end(1006);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(sockets).toHaveLength(2);
  });

  it('refreshes the session first after 4401', async () => {
    connection.start();
    last().hello();
    last().end(4401);
    await vi.advanceTimersByTimeAsync(1);
    expect(refresh).toHaveBeenCalledTimes(1);
    expect(sockets).toHaveLength(2);
  });

  it('stops when the refresh is refused, not when it is lost', async () => {
    connection.start();
    last().hello();
    refresh.mockRejectedValueOnce(new ApiError(0, 'network', ''));
    last().end(4401);
    await vi.advanceTimersByTimeAsync(2000);
    expect(sockets).toHaveLength(2);
    last().hello();
    refresh.mockRejectedValueOnce(new ApiError(401, 'unauthenticated', ''));
    last().end(4401);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(sockets).toHaveLength(2);
  });

  it.each([
    [1012, 1600],
    [4429, 7500],
    [4403, 7500]
  ])('waits with jitter after %i', (code, wait) => {
    connection.start();
    last().hello();
    last().end(code);
    vi.advanceTimersByTime(wait - 1);
    expect(sockets).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(sockets).toHaveLength(2);
  });

  it('gives up on a socket that never says hello', () => {
    connection.start();
    vi.advanceTimersByTime(10_000);
    expect(last().closedWith).toBe(4000);
    vi.advanceTimersByTime(1000);
    expect(sockets).toHaveLength(2);
  });

  it('does not happen after a stop', () => {
    connection.start();
    last().hello();
    connection.stop();
    vi.advanceTimersByTime(120_000);
    expect(sockets).toHaveLength(1);
  });
});

describe('fallback transport', () => {
  const fail = async () => {
    last().end(1006);
    await vi.advanceTimersByTimeAsync(4_000);
  };

  it('is used once plain requests succeed, and ends with a new WebSocket attempt', async () => {
    connection.start();
    await fail();
    expect([sockets.length, others.length]).toEqual([2, 0]);
    await fail();
    expect([sockets.length, others.length]).toEqual([3, 1]);
    others[0]?.hello();
    expect([connection.state, connection.ready]).toEqual(['online', true]);
    others[0]?.end(1006);
    await vi.advanceTimersByTimeAsync(4_000);
    expect([sockets.length, others.length]).toEqual([4, 1]);
  });

  it('is not used while the server is away or after a WebSocket worked', async () => {
    me.mockRejectedValue(new ApiError(0, 'unreachable', ''));
    connection.start();
    for (let tries = 0; tries < 3; tries++) await fail();
    expect(others).toEqual([]);
    me.mockResolvedValue({});
    last().hello();
    for (let tries = 0; tries < 3; tries++) await fail();
    expect(others).toEqual([]);
  });
});
