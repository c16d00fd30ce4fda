/** App with the real stores and a fake server, for tests of components. */
import { onTestFinished, vi } from 'vitest';
import { createApp, type App } from '#lib/app/app.ts';
import type { Conversation } from '#lib/api/types.ts';
import { accountOf, pageOf, workspaceOf } from './data.ts';

interface SentRequest {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** Response of the fake server: data, or a function of the request that returns or throws it. */
type Answer = object | ((request: SentRequest) => unknown);

/** Rejection by the fake server. */
export class Refusal {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly message: string
  ) {}
}

/** Response that never arrives. */
export const pending = () => new Promise<never>(() => undefined);

/** Response of a server that can't be reached. */
export const unreachable = () => Promise.reject(new TypeError('Failed to fetch'));

const browserFetch = globalThis.fetch;

/** HTTP server that answers requests by method and path, such as `GET /conversations`. Others are not found. */
export class FakeServer {
  readonly requests: SentRequest[] = [];

  constructor(readonly answers: Record<string, Answer>) {}

  readonly fetch = async (input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(String(input), location.href);
    // Files of the app, such as the list of emoji.
    if (!url.pathname.startsWith('/r1/')) return browserFetch(input, init);
    const request: SentRequest = {
      method: init.method ?? 'GET',
      path: url.pathname.replace(/^\/r1/, ''),
      query: Object.fromEntries(url.searchParams),
      body: typeof init.body === 'string' ? JSON.parse(init.body) : undefined
    };
    this.requests.push(request);
    const answer =
      this.answers[`${request.method} ${request.path}`] ??
      new Refusal(404, 'not_found', 'There is nothing at this path.');
    const data: unknown = typeof answer === 'function' ? await answer(request) : answer;
    if (data instanceof Refusal)
      return Response.json({ status: 'error', code: data.code, message: data.message }, { status: data.status });
    return Response.json({ status: 'success', data });
  };

  /** Bodies of the requests with this method and path. */
  bodiesOf(name: string): unknown[] {
    return this.requests.filter(({ method, path }) => `${method} ${path}` === name).map(({ body }) => body);
  }
}

interface SentFrame {
  readonly type: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** Open WebSocket whose frames the test sends. */
class FakeSocket {
  static last: FakeSocket | undefined;
  static sent: SentFrame[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  onerror: (() => void) | null = null;
  readyState = 1;

  constructor() {
    FakeSocket.last = this;
  }

  send(data: string): void {
    FakeSocket.sent.push(JSON.parse(data) as SentFrame);
  }

  close(): void {
    this.readyState = 3;
  }
}

export interface TestApp {
  app: App;
  server: FakeServer;
  /** Sends a frame to the app, which is connected by the first one. */
  receive: (type: string, payload: object) => void;
  /** Frames that the app has sent. */
  sent: readonly SentFrame[];
}

/** Creates the app of a signed-in account. */
export function createTestApp(answers: Record<string, Answer> = {}): TestApp {
  localStorage.clear();
  const server = new FakeServer(answers);
  FakeSocket.sent = [];
  vi.stubGlobal('fetch', server.fetch);
  vi.stubGlobal('WebSocket', FakeSocket);
  const app = createApp();
  app.session.account = accountOf();
  app.session.state = 'signed-in';
  app.workspaces.items = [workspaceOf()];
  app.workspaces.isLoaded = true;
  onTestFinished(() => app.connection.stop());
  const receive = (type: string, payload: object) => {
    if (!app.connection.ready && type !== 'hello') connect();
    FakeSocket.last?.onmessage?.({
      data: JSON.stringify({ id: 'frame', type, timestamp: new Date().toISOString(), payload })
    });
  };
  const connect = () => {
    app.connection.start();
    receive('hello', { server_time: new Date().toISOString(), heartbeat_seconds: 25, conversations: [] });
  };
  return { app, server, receive, sent: FakeSocket.sent };
}

/** Creates the app of a signed-in account with these conversations. */
export async function createTestAppWith(
  conversations: readonly Conversation[],
  answers: Record<string, Answer> = {}
): Promise<TestApp> {
  const testApp = createTestApp({ 'GET /conversations': pageOf(conversations), ...answers });
  await testApp.app.conversations.load();
  return testApp;
}
