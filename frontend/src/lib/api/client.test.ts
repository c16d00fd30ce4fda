import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Api as Client, ApiError, newId, type ApiOptions, type Locks, type Renewal } from './client.ts';

/** `Api` without its typed paths: the fake servers of these tests have endpoints that the real one doesn't have. */
type Calling = Record<'get' | 'post' | 'put' | 'delete', (path: string, ...sent: unknown[]) => Promise<unknown>>;
const Api = Client as unknown as new (options: ApiOptions) => Calling & Omit<Client, keyof Calling>;

interface Call {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: unknown;
}

type Answer = { status: number; body?: unknown; headers?: Record<string, string> } | 'lost';

/** Server that answers from a script; unknown requests fail the test. */
function fakeServer(script: (call: Call, count: number) => Answer) {
  const calls: Call[] = [];
  const fetch = vi.fn(async (input: RequestInfo | URL, init?: RequestInit) => {
    const call = {
      method: init?.method ?? 'GET',
      path: String(input),
      headers: init?.headers as Record<string, string>,
      body: init?.body ? JSON.parse(String(init.body)) : undefined
    };
    calls.push(call);
    const same = calls.filter((other) => other.path === call.path).length;
    const answer = script(call, same);
    if (answer === 'lost') throw new TypeError('Failed to fetch');
    return new Response(answer.body === undefined ? null : JSON.stringify(answer.body), {
      status: answer.status,
      headers: answer.headers
    });
  });
  return { calls, fetch: fetch as unknown as typeof globalThis.fetch };
}

const ok = (data: unknown): Answer => ({ status: 200, body: { status: 'success', data, message: '' } });
const no = (status: number, code: string, more: object = {}, headers: Record<string, string> = {}): Answer => ({
  status,
  body: { status: 'error', data: null, message: `said: ${code}`, code, request_id: 'r-1', ...more },
  headers
});

function memory(): Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> {
  const items = new Map<string, string>();
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key)
  };
}

function kept(): Renewal {
  let key: string | undefined;
  return {
    read: async () => key,
    store: async (kept) => void (key = kept),
    clear: async () => void (key = undefined)
  };
}

/** Lock that several clients share, as the tabs of a browser do. */
function oneLock(): Locks {
  let last: Promise<unknown> = Promise.resolve();
  return {
    request<T>(_name: string, run: () => Promise<T>): Promise<T> {
      const turn = last.then(run, run);
      last = turn.catch(() => undefined);
      return turn;
    }
  };
}

const now = () => Promise.resolve();

describe('response envelope', () => {
  it('unwraps the data, and sends the query and the JSON body', async () => {
    const server = fakeServer(() => ok({ id: 1 }));
    const api = new Api({ fetch: server.fetch });
    await expect(api.get('/things', { q: 'a b&c', page: 2, empty: undefined })).resolves.toEqual({ id: 1 });
    await api.post('/things', { name: 'x' });
    expect(server.calls[0]?.path).toBe('/r1/things?q=a+b%26c&page=2');
    expect(server.calls[0]?.headers['X-Natter-Transport']).toBe('cookie');
    expect(server.calls[1]).toMatchObject({ method: 'POST', body: { name: 'x' } });
  });

  it('turns an error response into an ApiError with fields, request id and retry delay', async () => {
    const fields = [{ field: 'email', code: 'invalid', message: 'no' }];
    const details = { count: 40 };
    const server = fakeServer(() => no(429, 'rate_limited', { errors: fields, details }, { 'retry-after': '8' }));
    const error = await new Api({ fetch: server.fetch }).post('/things').catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({
      status: 429,
      code: 'rate_limited',
      requestId: 'r-1',
      fields,
      retryAfter: 8,
      details
    });
  });

  it('reports an HTML page from a proxy and a network failure as errors', async () => {
    const page = { fetch: (async () => new Response('<h1>Bad gateway</h1>', { status: 502 })) as typeof fetch };
    await expect(new Api(page).get('/x')).rejects.toMatchObject({ status: 502, code: 'http_502' });
    const nonsense = { fetch: (async () => new Response('<p>hi</p>', { status: 200 })) as typeof fetch };
    await expect(new Api(nonsense).get('/x')).rejects.toMatchObject({ status: 502 });
    const lost = fakeServer(() => 'lost');
    await expect(new Api({ fetch: lost.fetch }).get('/x')).rejects.toMatchObject({ status: 0, code: 'network' });
  });
});

describe('session refresh', () => {
  it('refreshes once for parallel requests and repeats each of them', async () => {
    let isFresh = false;
    const server = fakeServer((call) => {
      if (call.path === '/r1/auth/refresh') {
        isFresh = true;
        return ok({});
      }
      return isFresh ? ok(call.path) : no(401, 'unauthenticated');
    });
    const api = new Api({ fetch: server.fetch, storage: memory(), locks: oneLock() });
    await expect(Promise.all([api.get('/a'), api.get('/b'), api.get('/c')])).resolves.toEqual([
      '/r1/a',
      '/r1/b',
      '/r1/c'
    ]);
    expect(server.calls.filter((call) => call.path === '/r1/auth/refresh')).toHaveLength(1);
  });

  it('refreshes in one tab; the other repeats its request with the new cookies', async () => {
    let isFresh = false;
    const server = fakeServer((call) => {
      if (call.path === '/r1/auth/refresh') {
        expect(isFresh, 'a refresh token works once').toBe(false);
        isFresh = true;
        return ok({});
      }
      return isFresh ? ok('yes') : no(401, 'unauthenticated');
    });
    const [storage, locks] = [memory(), oneLock()];
    const one = new Api({ fetch: server.fetch, storage, locks });
    const two = new Api({ fetch: server.fetch, storage, locks });
    await expect(Promise.all([one.get('/a'), two.get('/b')])).resolves.toEqual(['yes', 'yes']);
  });

  it('reuses the idempotency key after a lost response and takes a new one for the next refresh', async () => {
    const server = fakeServer((call, count) => (call.path === '/r1/auth/refresh' && count < 3 ? 'lost' : ok({})));
    const api = new Api({ fetch: server.fetch, wait: now });
    await api.refresh();
    await api.refresh();
    const keys = server.calls.map((call) => call.headers['Idempotency-Key']);
    expect(keys).toHaveLength(4);
    expect(new Set(keys.slice(0, 3)).size).toBe(1);
    expect(keys[3]).not.toBe(keys[0]);
  });

  it('reuses the idempotency key after a page reload', async () => {
    const renewal = kept();
    await new Promise<void>((asked) => {
      const fetch = () => {
        asked();
        return new Promise<Response>(() => undefined);
      };
      // A failure is irrelevant here: no caller waits for the refresh.
      new Api({ fetch, renewal, newKey: () => 'first' }).refresh().catch(() => undefined);
    });
    const server = fakeServer(() => ok({}));
    const anew = new Api({ fetch: server.fetch, renewal, newKey: () => 'second' });
    await anew.refresh();
    await anew.refresh();
    expect(server.calls.map((call) => call.headers['Idempotency-Key'])).toEqual(['first', 'second']);
  });

  it('ends the session if the refresh is refused, not if it gets no response', async () => {
    const ended = vi.fn();
    const refused = new Api({ fetch: fakeServer(() => no(401, 'unauthenticated')).fetch });
    refused.onSignedOut = ended;
    await expect(refused.get('/a')).rejects.toMatchObject({ status: 401 });
    expect(ended).toHaveBeenCalledTimes(1);

    const page = new Api({ fetch: (async () => new Response('<h1>Sign in</h1>', { status: 401 })) as typeof fetch });
    page.onSignedOut = ended;
    await expect(page.get('/a')).rejects.toMatchObject({ status: 502 });
    expect(ended).toHaveBeenCalledTimes(1);

    const lost = new Api({
      fetch: fakeServer((call) => (call.path === '/r1/auth/refresh' ? 'lost' : no(401, 'unauthenticated'))).fetch,
      wait: now
    });
    lost.onSignedOut = ended;
    await expect(lost.get('/a')).rejects.toMatchObject({ status: 0 });
    expect(ended).toHaveBeenCalledTimes(1);
  });

  it('does not refresh after a wrong password', async () => {
    const server = fakeServer(() => no(401, 'invalid_credentials'));
    await expect(new Api({ fetch: server.fetch }).post('/auth/signin', {})).rejects.toMatchObject({
      code: 'invalid_credentials'
    });
    expect(server.calls).toHaveLength(1);
  });

  it('does not refresh after an unknown passkey', async () => {
    const server = fakeServer(() => no(401, 'unauthenticated'));
    const api = new Api({ fetch: server.fetch });
    await expect(api.post('/auth/passkeys/signin/finish', {})).rejects.toMatchObject({ status: 401 });
    expect(server.calls).toHaveLength(1);
  });
});

describe('rate limits and bans', () => {
  const slow = (seconds: string) => no(429, 'rate_limited', {}, { 'retry-after': seconds });

  it('retries a read after the delay and reports the slowdown', async () => {
    const server = fakeServer((_, count) => (count < 3 ? slow('8') : ok('there')));
    const waited: number[] = [];
    const told = vi.fn();
    const api = new Api({ fetch: server.fetch, wait: async (milliseconds) => void waited.push(milliseconds) });
    api.onSlowed = told;
    await expect(api.get('/things')).resolves.toBe('there');
    expect(told.mock.calls).toEqual([[8], [8]]);
    expect(waited).toHaveLength(2);
    expect(Math.min(...waited)).toBeGreaterThanOrEqual(8000);
  });

  it('retries rejected parallel reads one after the other', async () => {
    let room = 1;
    const server = fakeServer(({ path }) => (room-- > 0 ? ok(path) : slow('1')));
    const wait = async () => void (room = 1);
    const api = new Api({ fetch: server.fetch, wait });
    const names = Array.from({ length: 12 }, (_, number) => `/things/${number}`);
    const got = await Promise.all(names.map((name) => api.get(name)));
    expect(got).toHaveLength(12);
    // Each request takes at most three attempts: one at first and up to two from the queue of rejected requests.
    expect(server.calls.length).toBeLessThanOrEqual(3 * 12);
  });

  it('does not retry after a long delay, after repeated rejections, or for writes', async () => {
    const long = fakeServer(() => slow('31'));
    await expect(new Api({ fetch: long.fetch, wait: now }).get('/x')).rejects.toMatchObject({ retryAfter: 31 });
    expect(long.calls).toHaveLength(1);
    const never = fakeServer(() => slow('1'));
    await expect(new Api({ fetch: never.fetch, wait: now }).get('/x')).rejects.toMatchObject({ status: 429 });
    expect(never.calls).toHaveLength(5);
    const change = fakeServer(() => slow('1'));
    await expect(new Api({ fetch: change.fetch, wait: now }).post('/x')).rejects.toMatchObject({ status: 429 });
    expect(change.calls).toHaveLength(1);
  });

  it('reports a banned network without ending the session', async () => {
    const server = fakeServer(() => no(403, 'address_banned', {}, { 'retry-after': '300' }));
    const api = new Api({ fetch: server.fetch });
    const [banned, ended] = [vi.fn(), vi.fn()];
    api.onBanned = banned;
    api.onSignedOut = ended;
    await expect(api.get('/users/me')).rejects.toMatchObject({ code: 'address_banned' });
    expect([banned.mock.calls, ended.mock.calls]).toEqual([[[300]], []]);
  });
});

describe('unresponsive connection', () => {
  /** Server that answers when the test tells it to, and records aborted requests. */
  function silence() {
    const asked: { path: string; signal: AbortSignal | null | undefined; answer: (data: unknown) => void }[] = [];
    const fetch = vi.fn(
      (input: RequestInfo | URL, init?: RequestInit) =>
        new Promise<Response>((resolve) => {
          const answer = (data: unknown) => resolve(new Response(JSON.stringify({ status: 'success', data })));
          asked.push({ path: String(input), signal: init?.signal, answer });
        })
    );
    return { asked, fetch: fetch as unknown as typeof globalThis.fetch };
  }

  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('times out a read after 30 seconds', async () => {
    const server = silence();
    const api = new Api({ fetch: server.fetch });
    const read = api.get('/things').catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(29_999);
    expect(server.asked[0]?.signal?.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await read).toMatchObject({ status: 0, code: 'timeout', isNetwork: true });
    expect(server.asked[0]?.signal?.aborted).toBe(true);
    const again = api.get('/things');
    server.asked[1]?.answer('there');
    expect(await again).toBe('there');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('never times out slow endpoints and writes', async () => {
    const server = silence();
    const api = new Api({ fetch: server.fetch });
    const ended = vi.fn();
    for (const path of ['/users/me/export', '/admin/checks', '/admin/profile?seconds=60', '/payments/1?wait=20'])
      void api.get(path).finally(ended);
    void api.post('/things', {}).finally(ended);
    await vi.advanceTimersByTimeAsync(120_000);
    api.resume();
    await vi.advanceTimersByTimeAsync(120_000);
    expect(ended).not.toHaveBeenCalled();
    expect(server.asked).toHaveLength(5);
  });

  it('restarts reads in progress when the device resumes, but not recent ones', async () => {
    const server = silence();
    const api = new Api({ fetch: server.fetch });
    const old = api.get('/old');
    await vi.advanceTimersByTimeAsync(20_000);
    const fresh = api.get('/fresh');
    api.resume();
    expect(server.asked.map(({ path }) => path)).toEqual(['/r1/old', '/r1/fresh', '/r1/old']);
    expect(server.asked.map(({ signal }) => signal?.aborted)).toEqual([true, false, false]);
    // The request was restarted with a full timeout, so the response to the first attempt is ignored.
    server.asked[0]?.answer('before');
    await vi.advanceTimersByTimeAsync(20_000);
    server.asked[2]?.answer('now');
    server.asked[1]?.answer('fresh');
    expect(await Promise.all([old, fresh])).toEqual(['now', 'fresh']);
    api.resume();
    expect(server.asked).toHaveLength(3);
  });

  it('times out idempotent writes and restarts them when the device resumes', async () => {
    const server = silence();
    const api = new Api({ fetch: server.fetch });
    const sent = api.post('/conversations/c1/messages', { client_id: 'a' });
    await vi.advanceTimersByTimeAsync(10_000);
    api.resume();
    expect(server.asked.map(({ path }) => path)).toEqual(Array(2).fill('/r1/conversations/c1/messages'));
    server.asked[1]?.answer({ seq: 1 });
    expect(await sent).toEqual({ seq: 1 });
    const made = api.post('/conversations', { client_id: 'b' }).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(await made).toMatchObject({ code: 'timeout' });
  });

  it('times out repeatable writes without restarting them, because a later write may overtake them', async () => {
    const server = silence();
    const api = new Api({ fetch: server.fetch });
    const written = [
      api.put('/notes/n1', {}),
      api.delete('/notes/n2?version=1'),
      api.put('/conversations/c1/draft', {})
    ];
    const ends = written.map((one) => one.catch((error: unknown) => error));
    await vi.advanceTimersByTimeAsync(10_000);
    api.resume();
    expect(server.asked).toHaveLength(3);
    await vi.advanceTimersByTimeAsync(20_000);
    for (const end of ends) expect(await end).toMatchObject({ code: 'timeout' });
  });

  it('times out a session refresh and retries it with the same key', async () => {
    const keys: unknown[] = [];
    const fetch = (_: RequestInfo | URL, init?: RequestInit) => {
      keys.push((init?.headers as Record<string, string>)['Idempotency-Key']);
      return keys.length === 1
        ? new Promise<Response>(() => undefined)
        : Promise.resolve(new Response(JSON.stringify({ status: 'success', data: {} })));
    };
    const renewed = new Api({ fetch: fetch as typeof globalThis.fetch, wait: now }).refresh();
    await vi.advanceTimersByTimeAsync(30_000);
    await renewed;
    expect(keys).toHaveLength(2);
    expect(keys[1]).toBe(keys[0]);
  });
});

describe('prefetched responses', () => {
  const early = () => Promise.resolve(new Response(JSON.stringify({ status: 'success', data: 'early', message: '' })));

  it('serves each prefetched response once, and none after events arrive', async () => {
    const server = fakeServer(() => ok('late'));
    const api = new Api({
      fetch: server.fetch,
      early: { '/a?x=1': early(), '/b': early(), '/c': Promise.reject(new Error()) }
    });
    await expect(api.get('/a', { x: 1 })).resolves.toBe('early');
    await expect(api.get('/a', { x: 1 })).resolves.toBe('late');
    await expect(api.get('/c')).resolves.toBe('late');
    api.clearEarlyRequests();
    await expect(api.get('/b')).resolves.toBe('late');
  });
});

it('creates UUIDs in browsers without crypto.randomUUID', () => {
  const { randomUUID } = crypto;
  Object.defineProperty(crypto, 'randomUUID', { value: undefined, configurable: true });
  try {
    expect(newId()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(newId()).not.toBe(newId());
  } finally {
    Object.defineProperty(crypto, 'randomUUID', { value: randomUUID, configurable: true });
  }
});
