import { ApiError, newId, type Api } from '#lib/api/client.ts';
import type { AckPayload, HelloPayload, ServerFrame } from '#lib/api/types.ts';
import { isStale, type LoadedData } from './live-updates.ts';
import { ConnectionLost, PendingRequests } from './pending-requests.ts';
import { loadStreamSocket, OPEN, openWebSocket, parseFrame, type Socket } from './socket.ts';

export type ConnectionState = 'connecting' | 'online' | 'reconnecting' | 'offline';

interface ConnectionOptions {
  open?: () => Socket;
  /** Loads the transport for networks that block WebSockets. */
  loadFallback?: () => Promise<(api: Api) => Socket>;
  /** Returns a random number from 0 to 1, by which delays vary. */
  random?: () => number;
  isOnline?: () => boolean;
}

/** Time in milliseconds after which a lost connection is shown. */
const OFFLINE_NOTICE_DELAY = 2000;
/** Time in milliseconds without a connection from which this device counts as away. It is longer than a restart of the server. */
const AWAY_THRESHOLD = 60_000;
const MIN_BACKOFF = 500;
const MAX_BACKOFF = 20_000;
const OPEN_TIMEOUT = 10_000;
const PONG_TIMEOUT = 8000;
const RESTARTING = 1012;
const CREDENTIALS_ENDED = 4401;
const WRONG_ORIGIN = 4403;
const TOO_MANY_FRAMES = 4429;

/** Connection to the server with automatic reconnect. Receives frames, sends requests and reports its state. */
export class Connection {
  #state = $state<ConnectionState>('connecting');
  #ready = $state(false);

  readonly #api: Api;
  readonly #openSocket: () => Socket;
  readonly #loadFallback: () => Promise<(api: Api) => Socket>;
  readonly #random: () => number;
  readonly #isOnline: () => boolean;
  readonly #handlers = new Set<(frame: ServerFrame) => void>();
  readonly #helloHandlers = new Set<(hello: HelloPayload) => void | Promise<void>>();
  readonly #requests = new PendingRequests();

  #socket: Socket | undefined;
  /** Creates the fallback transport; undefined while WebSockets are used. */
  #openFallback: ((api: Api) => Socket) | undefined;
  /** Whether a WebSocket has worked on this network. */
  #hasBeenOnline = false;
  #isStarted = false;
  #hellos = 0;
  #wasLost = false;
  #wasAway = false;
  #attempt = 0;
  #heartbeat = 25_000;
  /** Difference of the server's clock to that of this device at the last hello frame, in milliseconds. */
  #clockOffset = 0;
  #lastHeard = 0;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #offlineNoticeTimer: ReturnType<typeof setTimeout> | undefined;
  #openTimer: ReturnType<typeof setTimeout> | undefined;
  #watchTimer: ReturnType<typeof setTimeout> | undefined;
  #pongTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(api: Api, options: ConnectionOptions = {}) {
    this.#api = api;
    this.#openSocket = options.open ?? openWebSocket;
    this.#loadFallback = options.loadFallback ?? loadStreamSocket;
    this.#random = options.random ?? Math.random;
    this.#isOnline = options.isOnline ?? (() => navigator.onLine);
  }

  /** State of the connection for display. A loss is shown only after `OFFLINE_NOTICE_DELAY`. */
  get state(): ConnectionState {
    return this.#state;
  }

  /** Whether the socket is open and the hello frame has arrived. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Whether the presence and typing of others is unknown. Losses of less than two seconds don't count. */
  get isLost(): boolean {
    return this.#state !== 'online' && (this.#state !== 'connecting' || this.#hellos > 0);
  }

  /** Whether the last hello frame ended a loss that was shown. */
  get wasLost(): boolean {
    return this.#wasLost;
  }

  /** Whether the last hello frame came after such a long silence that the user was probably active on another device. */
  get wasAway(): boolean {
    return this.#wasAway;
  }

  /** Current time by the server's clock in milliseconds since 1970, to compare with timestamps of the server. */
  get now(): number {
    return Date.now() + this.#clockOffset;
  }

  on(handler: (frame: ServerFrame) => void): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  /** Registers a handler for every hello frame. If the connection is open, it is called at once. Returns a function that removes it. */
  onConnect(handler: (hello: HelloPayload) => void | Promise<void>): () => void {
    this.#helloHandlers.add(handler);
    return () => this.#helloHandlers.delete(handler);
  }

  /**
   * Registers a handler that is called when `reading` may have missed events: after each hello frame but the first, and after the first one if that
   * came late.
   */
  onStale(reading: LoadedData, handler: () => void): () => void {
    return this.onConnect(() => {
      if (isStale(reading, this.#hellos === 1)) handler();
    });
  }

  /** Sends a frame and waits for its response (`ack`, `pong` or `sync.done`). Rejects with an `ApiError` if the response is `error`. */
  request(type: string, payload: unknown): Promise<AckPayload> {
    const id = newId();
    if (!this.#transmit(id, type, payload)) return Promise.reject(new ConnectionLost('not connected'));
    return this.#requests.add(id, () => this.#probe());
  }

  /** Sends a frame that has no response. While disconnected it is dropped, because it would be outdated later. */
  notify(type: string, payload: unknown): void {
    this.#transmit(newId(), type, payload);
  }

  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#attempt = 0;
    if (this.#isOnline()) {
      this.#scheduleOfflineNotice();
      this.#open();
    } else {
      this.#state = 'offline';
    }
  }

  stop(): void {
    this.#isStarted = false;
    this.#disconnect(1000);
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#offlineNoticeTimer);
    this.#offlineNoticeTimer = undefined;
    this.#state = 'connecting';
  }

  /** Resets the state for another account, whose first hello frame counts as the first one again. */
  reset(): void {
    this.stop();
    this.#hellos = 0;
    this.#wasLost = this.#wasAway = false;
  }

  /** Reacts when the browser goes online or offline. */
  networkChanged(): void {
    if (!this.#isStarted) return;
    if (this.#isOnline()) {
      this.#attempt = 0;
      this.#openFallback = undefined;
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

  /** Checks the socket. Called when the page becomes visible, because the connection may have been lost during sleep. */
  wake(): void {
    if (!this.#isStarted || !this.#isOnline()) return;
    if (this.#ready) this.#probe();
    else this.#reopen(0);
  }

  #open(): void {
    clearTimeout(this.#retryTimer);
    this.#disconnect(1000);
    let socket: Socket;
    try {
      socket = this.#openFallback ? this.#openFallback(this.#api) : this.#openSocket();
    } catch {
      this.#scheduleReconnect(this.#backoff());
      return;
    }
    this.#socket = socket;
    socket.onmessage = (event) => this.#receive(socket, event.data);
    socket.onclose = (event) => this.#handleClose(socket, event.code);
    socket.onerror = null;
    this.#openTimer = setTimeout(() => {
      if (this.#socket !== socket || this.#ready) return;
      this.#disconnect(4000);
      if (this.#attempt > 0) void this.#checkRefusal();
      else this.#scheduleReconnect(this.#backoff());
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
    if (frame.type === 'hello') this.#handleHello(frame.payload as HelloPayload, silence);
    for (const handler of this.#handlers) {
      try {
        handler(frame as ServerFrame);
      } catch (error) {
        // An error in one handler must not prevent the others from being called.
        reportError(error);
      }
    }
    if (frame.type === 'hello') {
      for (const handler of this.#helloHandlers) void handler(frame.payload as HelloPayload);
    }
  }

  #handleHello(hello: HelloPayload, silence: number): void {
    this.#wasAway = this.#hellos > 0 && silence > AWAY_THRESHOLD;
    const serverTime = Date.parse(hello.server_time);
    if (Number.isFinite(serverTime)) this.#clockOffset = serverTime - Date.now();
    clearTimeout(this.#openTimer);
    clearTimeout(this.#offlineNoticeTimer);
    this.#offlineNoticeTimer = undefined;
    this.#attempt = 0;
    this.#wasLost = this.isLost;
    this.#hellos += 1;
    this.#hasBeenOnline ||= this.#openFallback === undefined;
    this.#ready = true;
    this.#state = 'online';
    this.#heartbeat = Math.max(5, hello.heartbeat_seconds || 25) * 1000;
    this.#watch();
  }

  #handleClose(socket: Socket, code: number): void {
    if (this.#socket !== socket) return;
    const greeted = this.#ready;
    // The fallback transport has ended, so WebSockets are tried again.
    if (greeted) this.#openFallback = undefined;
    this.#disconnect();
    if (!this.#isStarted) return;
    if (!this.#isOnline()) {
      this.#state = 'offline';
      return;
    }
    this.#scheduleOfflineNotice();
    if (code === CREDENTIALS_ENDED) void this.#renew();
    else if (code === RESTARTING) this.#scheduleReconnect(200 + this.#random() * 2800);
    else if (code === TOO_MANY_FRAMES || code === WRONG_ORIGIN) this.#scheduleReconnect(5000 + this.#random() * 5000);
    // Scripts can't see why the server has rejected a WebSocket, so a request by HTTP finds out. It also refreshes the session if necessary.
    else if (!greeted && this.#attempt > 0) void this.#checkRefusal();
    else this.#scheduleReconnect(this.#backoff());
  }

  async #renew(): Promise<void> {
    try {
      await this.#api.refresh();
      this.#scheduleReconnect(0);
    } catch (error) {
      // If the credentials were rejected, the session store handles that. After other errors, connecting is tried again.
      if (!(error instanceof ApiError && error.status === 401)) this.#scheduleReconnect(this.#backoff());
    }
  }

  async #checkRefusal(): Promise<void> {
    const delay = this.#backoff();
    try {
      await this.#api.get('/users/me');
      // The server can be reached, so the network blocks WebSockets: the fallback transport is used. If that has failed as well, WebSockets are tried
      // again.
      this.#openFallback = this.#openFallback || this.#hasBeenOnline ? undefined : await this.#loadFallback();
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return;
    }
    this.#scheduleReconnect(delay);
  }

  #backoff(): number {
    const most = Math.min(MAX_BACKOFF, MIN_BACKOFF * 2 ** this.#attempt);
    this.#attempt += 1;
    return most / 2 + (this.#random() * most) / 2;
  }

  #scheduleReconnect(milliseconds: number): void {
    if (!this.#isStarted) return;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.#open(), milliseconds);
  }

  #reopen(milliseconds: number): void {
    this.#scheduleOfflineNotice();
    this.#scheduleReconnect(milliseconds);
  }

  #scheduleOfflineNotice(): void {
    if (this.#state === 'offline') this.#state = 'reconnecting';
    this.#offlineNoticeTimer ??= setTimeout(() => {
      this.#offlineNoticeTimer = undefined;
      if (this.#isStarted && !this.#ready) this.#state = this.#isOnline() ? 'reconnecting' : 'offline';
    }, OFFLINE_NOTICE_DELAY);
  }

  /** Sends a ping after each heartbeat interval in which nothing was received, because scripts don't see the pings of the protocol. */
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
      if (this.#isStarted) this.#reopen(this.#backoff());
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
