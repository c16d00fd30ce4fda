import { ApiError, newId, type Api } from '#lib/api/client.ts';
import type { AckPayload, HelloPayload, ServerFrame } from '#lib/api/types.ts';
import { isStale, type LoadedData } from './live-updates.ts';
import { ConnectionLost, PendingRequests } from './pending-requests.ts';
import { loadStreamSocket, OPEN, openWebSocket, parseFrame, type Socket } from './socket.ts';

export type ConnectionState = 'connecting' | 'online' | 'reconnecting' | 'offline';

interface ConnectionOptions {
  open?: () => Socket;
  /** Loads the fallback transport for networks without WebSocket. */
  bringOther?: () => Promise<(api: Api) => Socket>;
  /** Random number in 0..1 for jitter. */
  random?: () => number;
  isOnline?: () => boolean;
}

/** Delay before a lost connection is shown, in milliseconds. */
const OFFLINE_NOTICE_DELAY = 2000;
/** A longer gap than a server restart means that this device was away, in milliseconds. */
const AWAY_THRESHOLD = 60_000;
const MIN_BACKOFF = 500;
const MAX_BACKOFF = 20_000;
const OPEN_TIMEOUT = 10_000;
const PONG_TIMEOUT = 8000;
const RESTARTING = 1012;
const CREDENTIALS_ENDED = 4401;
const WRONG_ORIGIN = 4403;
const TOO_MANY_FRAMES = 4429;

/** Self-healing WebSocket connection: receives frames, sends requests and reports its state. */
export class Connection {
  #state = $state<ConnectionState>('connecting');
  #ready = $state(false);

  readonly #api: Api;
  readonly #openSocket: () => Socket;
  readonly #bringOther: () => Promise<(api: Api) => Socket>;
  readonly #random: () => number;
  readonly #isOnline: () => boolean;
  readonly #handlers = new Set<(frame: ServerFrame) => void>();
  readonly #helloHandlers = new Set<(hello: HelloPayload) => void | Promise<void>>();
  readonly #requests = new PendingRequests();

  #socket: Socket | undefined;
  /** Fallback transport, used until the network changes. */
  #openOther: ((api: Api) => Socket) | undefined;
  /** Whether a WebSocket has worked on this network. */
  #hasBeenOnline = false;
  #wanted = false;
  #hellos = 0;
  #wasLost = false;
  #wasAway = false;
  #attempt = 0;
  #heartbeat = 25_000;
  /** Offset of the server's clock at the last hello, in milliseconds. */
  #ahead = 0;
  #lastHeard = 0;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #sayTimer: ReturnType<typeof setTimeout> | undefined;
  #openTimer: ReturnType<typeof setTimeout> | undefined;
  #watchTimer: ReturnType<typeof setTimeout> | undefined;
  #pongTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(api: Api, options: ConnectionOptions = {}) {
    this.#api = api;
    this.#openSocket = options.open ?? openWebSocket;
    this.#bringOther = options.bringOther ?? loadStreamSocket;
    this.#random = options.random ?? Math.random;
    this.#isOnline = options.isOnline ?? (() => navigator.onLine);
  }

  /** State shown to people; a loss is shown after `OFFLINE_NOTICE_DELAY`. */
  get state(): ConnectionState {
    return this.#state;
  }

  /** Whether the socket is open and has received its hello. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Whether live state of others (presence, typing) is unknown; losses below two seconds are ignored. */
  get isLost(): boolean {
    return this.#state !== 'online' && (this.#state !== 'connecting' || this.#hellos > 0);
  }

  /** Whether the last hello ended a reported loss. */
  get wasLost(): boolean {
    return this.#wasLost;
  }

  /** Whether the last hello followed such a long silence that the user was probably on another device. */
  get wasAway(): boolean {
    return this.#wasAway;
  }

  /** Current time by the server's clock, in milliseconds since 1970; compare server timestamps with it. */
  get now(): number {
    return Date.now() + this.#ahead;
  }

  on(handler: (frame: ServerFrame) => void): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  /** Registers a handler for every hello; calls it at once if the connection is open. */
  onConnect(handler: (hello: HelloPayload) => void | Promise<void>): () => void {
    this.#helloHandlers.add(handler);
    return () => this.#helloHandlers.delete(handler);
  }

  /** Registers a handler that runs when `reading` may have missed events: after each hello but the first, and after a late first one. */
  onStale(reading: LoadedData, handler: () => void): () => void {
    return this.onConnect(() => {
      if (isStale(reading, this.#hellos === 1)) handler();
    });
  }

  /** Sends a frame and waits for its `ack`, `pong` or `sync.done`; an `error` rejects with an `ApiError`. */
  request(type: string, payload: unknown): Promise<AckPayload> {
    const id = newId();
    if (!this.#transmit(id, type, payload)) return Promise.reject(new ConnectionLost('not connected'));
    return this.#requests.add(id, () => this.#probe());
  }

  /** Sends a frame without a response; dropped while disconnected, because it would be stale later. */
  notify(type: string, payload: unknown): void {
    this.#transmit(newId(), type, payload);
  }

  start(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#attempt = 0;
    if (this.#isOnline()) {
      this.#scheduleOfflineNotice();
      this.#open();
    } else {
      this.#state = 'offline';
    }
  }

  stop(): void {
    this.#wanted = false;
    this.#disconnect(1000);
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#sayTimer);
    this.#sayTimer = undefined;
    this.#state = 'connecting';
  }

  /** Resets the state for the next account, whose first hello counts as the first again. */
  reset(): void {
    this.stop();
    this.#hellos = 0;
    this.#wasLost = this.#wasAway = false;
  }

  /** Handles online and offline events. */
  networkChanged(): void {
    if (!this.#wanted) return;
    if (this.#isOnline()) {
      this.#attempt = 0;
      this.#openOther = undefined;
      this.#hasBeenOnline = false;
      if (!this.#ready) {
        this.#state = 'reconnecting';
        this.#reopen(0);
      }
    } else {
      this.#disconnect(1000);
      clearTimeout(this.#retryTimer);
      this.#state = 'offline';
    }
  }

  /** Checks the socket when the page becomes visible: it may have died during sleep. */
  wake(): void {
    if (!this.#wanted || !this.#isOnline()) return;
    if (this.#ready) this.#probe();
    else this.#reopen(0);
  }

  #open(): void {
    clearTimeout(this.#retryTimer);
    this.#disconnect(1000);
    let socket: Socket;
    try {
      socket = this.#openOther ? this.#openOther(this.#api) : this.#openSocket();
    } catch {
      this.#later(this.#backoff());
      return;
    }
    this.#socket = socket;
    socket.onmessage = (event) => this.#receive(socket, event.data);
    socket.onclose = (event) => this.#closed(socket, event.code);
    socket.onerror = null;
    this.#openTimer = setTimeout(() => {
      if (this.#socket !== socket || this.#ready) return;
      this.#disconnect(4000);
      if (this.#attempt > 0) void this.#checkRefusal();
      else this.#later(this.#backoff());
    }, OPEN_TIMEOUT);
  }

  #receive(socket: Socket, data: unknown): void {
    if (this.#socket !== socket || typeof data !== 'string') return;
    const silence = Date.now() - this.#lastHeard;
    this.#lastHeard = Date.now();
    clearTimeout(this.#pongTimer);
    this.#pongTimer = undefined;
    const frame = parseFrame(data);
    if (!frame) return;
    this.#requests.answer(frame);
    if (frame.type === 'hello') this.#greeted(frame.payload as HelloPayload, silence);
    for (const handler of this.#handlers) {
      try {
        handler(frame as ServerFrame);
      } catch (error) {
        // An error in one handler must not keep the frame from the others.
        reportError(error);
      }
    }
    if (frame.type === 'hello') {
      for (const handler of this.#helloHandlers) void handler(frame.payload as HelloPayload);
    }
  }

  #greeted(hello: HelloPayload, silence: number): void {
    this.#wasAway = this.#hellos > 0 && silence > AWAY_THRESHOLD;
    const serverTime = Date.parse(hello.server_time);
    if (Number.isFinite(serverTime)) this.#ahead = serverTime - Date.now();
    clearTimeout(this.#openTimer);
    clearTimeout(this.#sayTimer);
    this.#sayTimer = undefined;
    this.#attempt = 0;
    this.#wasLost = this.isLost;
    this.#hellos += 1;
    this.#hasBeenOnline ||= this.#openOther === undefined;
    this.#ready = true;
    this.#state = 'online';
    this.#heartbeat = Math.max(5, hello.heartbeat_seconds || 25) * 1000;
    this.#watch();
  }

  #closed(socket: Socket, code: number): void {
    if (this.#socket !== socket) return;
    const greeted = this.#ready;
    // WebSockets may work now.
    if (greeted) this.#openOther = undefined;
    this.#disconnect();
    if (!this.#wanted) return;
    if (!this.#isOnline()) {
      this.#state = 'offline';
      return;
    }
    this.#scheduleOfflineNotice();
    if (code === CREDENTIALS_ENDED) void this.#renew();
    else if (code === RESTARTING) this.#later(200 + this.#random() * 2800);
    else if (code === TOO_MANY_FRAMES || code === WRONG_ORIGIN) this.#later(5000 + this.#random() * 5000);
    // A rejected upgrade has no reason, so ask by REST, which also refreshes the session.
    else if (!greeted && this.#attempt > 0) void this.#checkRefusal();
    else this.#later(this.#backoff());
  }

  async #renew(): Promise<void> {
    try {
      await this.#api.refresh();
      this.#later(0);
    } catch (error) {
      // Credentials rejected: the session store handles it. Other errors are retried.
      if (!(error instanceof ApiError && error.status === 401)) this.#later(this.#backoff());
    }
  }

  async #checkRefusal(): Promise<void> {
    const delay = this.#backoff();
    try {
      await this.#api.get('/users/me');
      // The server is reachable, so the network blocks WebSockets: use the fallback transport. If that fails too, try WebSocket again.
      this.#openOther = this.#openOther || this.#hasBeenOnline ? undefined : await this.#bringOther();
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return;
    }
    this.#later(delay);
  }

  #backoff(): number {
    const most = Math.min(MAX_BACKOFF, MIN_BACKOFF * 2 ** this.#attempt);
    this.#attempt += 1;
    return most / 2 + (this.#random() * most) / 2;
  }

  #later(milliseconds: number): void {
    if (!this.#wanted) return;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.#open(), milliseconds);
  }

  #reopen(milliseconds: number): void {
    this.#scheduleOfflineNotice();
    this.#later(milliseconds);
  }

  #scheduleOfflineNotice(): void {
    if (this.#state === 'offline') this.#state = 'reconnecting';
    this.#sayTimer ??= setTimeout(() => {
      this.#sayTimer = undefined;
      if (this.#wanted && !this.#ready) this.#state = this.#isOnline() ? 'reconnecting' : 'offline';
    }, OFFLINE_NOTICE_DELAY);
  }

  /** Protocol pings are invisible to scripts, so probe after a silent heartbeat interval. */
  #watch(): void {
    clearTimeout(this.#watchTimer);
    this.#watchTimer = setTimeout(
      () => {
        if (Date.now() - this.#lastHeard >= this.#heartbeat) this.#probe();
        if (this.#ready) this.#watch();
      },
      Math.max(1000, this.#heartbeat - (Date.now() - this.#lastHeard))
    );
  }

  #probe(): void {
    if (!this.#ready || this.#pongTimer) return;
    this.notify('ping', {});
    this.#pongTimer = setTimeout(() => {
      this.#pongTimer = undefined;
      this.#disconnect(4000);
      if (this.#wanted) this.#reopen(this.#backoff());
    }, PONG_TIMEOUT);
  }

  #transmit(id: string, type: string, payload: unknown): boolean {
    if (!this.#ready || this.#socket?.readyState !== OPEN) return false;
    this.#socket.send(JSON.stringify({ id, type, timestamp: new Date().toISOString(), payload }));
    return true;
  }

  /** Closes the socket and rejects its pending requests. */
  #disconnect(code?: number): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#ready = false;
    for (const timer of [this.#openTimer, this.#watchTimer, this.#pongTimer]) clearTimeout(timer);
    this.#pongTimer = undefined;
    if (socket) {
      socket.onmessage = null;
      socket.onclose = null;
      if (code !== undefined) socket.close(code);
    }
    this.#requests.rejectAll();
  }
}
