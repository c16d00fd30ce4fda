/**
 * Transport for networks that block WebSockets. Events arrive in a long HTTP response (`GET /r1/events`), and requests use the HTTP API. Typing and
 * presence aren't supported. If a proxy holds back the response, short responses are requested again and again (polling).
 */
import { base } from '#lib/util/address.ts';
import { ApiError, type Api } from '#lib/api/client.ts';
import type { ClientFrame, Id, Message, ReceiptCommand, SendCommand } from '#lib/api/types.ts';
import { toast } from '#lib/ui/toast/toast.svelte.ts';
import { m } from '#lib/paraglide/messages.js';
import { tabStorage } from '#lib/util/browser-storage.ts';
import type { Socket } from './socket.ts';

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 3;
const BROKEN = 1006;
const CREDENTIALS_ENDED = 4401;
/** Maximum number of events per request. */
const PAGE = 200;
/** Time in milliseconds after which a change of the open conversation is reported. */
const VIEW_DELAY = 500;
/** Time in milliseconds without data after which the response counts as lost. The server sends a heartbeat every 15 seconds. */
const SILENCE_TIMEOUT = 40_000;
/**
 * Time in milliseconds in which the hello frame must arrive. The server sends it at once, so a proxy is holding back the response if it is late. The
 * connection waits twice as long.
 */
const HELLO_TIMEOUT = 5_000;
/** Time in seconds that the server waits for events before it answers a poll. */
const WAIT = 20;
/** Time between two polls, in milliseconds. */
const PAUSE = 2_000;
/** Key in session storage by which the tab remembers that the notice was shown. */
const BLOCKED_KEY = 'natter.live-blocked';

export class StreamSocket implements Socket {
  onopen: Socket['onopen'] = null;
  onmessage: Socket['onmessage'] = null;
  onclose: Socket['onclose'] = null;
  onerror: Socket['onerror'] = null;
  readyState = CONNECTING;

  readonly #api: Api;
  readonly #fetch: typeof fetch;
  /** Whether events are polled. Shared by all connections, because it depends on the network. */
  static #polls = false;
  static #isSaid = false;

  #stream = new AbortController();
  #lastEventId: string | undefined;
  #heardAt = Date.now();
  #view = '';
  #viewTimer: ReturnType<typeof setTimeout> | undefined;
  #pollTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(api: Api, ask: typeof fetch = (input, init) => fetch(input, init)) {
    this.#api = api;
    this.#fetch = ask;
    void this.#follow(this.#stream);
  }

  send(data: string): void {
    const { id, type, payload } = JSON.parse(data) as ClientFrame & { id: Id };
    switch (type) {
      case 'ping':
        if (Date.now() - this.#heardAt < SILENCE_TIMEOUT) queueMicrotask(() => this.#emit('pong', {}, id));
        return;
      case 'message.send':
        return void this.#answer(id, () => this.#message(payload));
      case 'sync':
        return void this.#answer(id, () => this.#sync(id, payload.cursors), 'sync.done');
      case 'receipt':
        if (payload.state === 'read') void this.#quietly(this.#read(payload));
        return;
      case 'view':
        this.#show(payload.conversation_ids.join(','));
    }
  }

  close(): void {
    this.readyState = CLOSED;
    clearTimeout(this.#viewTimer);
    clearTimeout(this.#pollTimer);
    this.#stream.abort();
  }

  // ── Receiving ──

  async #follow(stream: AbortController): Promise<void> {
    const [goesOn, polls] = [this.#lastEventId !== undefined, StreamSocket.#polls];
    if (!polls) this.#pollTimer = setTimeout(() => this.#poll(), HELLO_TIMEOUT);
    let isWhole = false;
    try {
      const query = [this.#view && `view=${this.#view}`, polls && `wait=${WAIT}`].filter(Boolean).join('&');
      const path = `${base}/r1/events${query && `?${query}`}`;
      const headers = {
        accept: 'text/event-stream',
        ...(this.#lastEventId !== undefined && { 'last-event-id': this.#lastEventId })
      };
      const answer = await this.#fetch(path, { headers, credentials: 'same-origin', signal: stream.signal });
      if (!answer.ok || !answer.body) {
        this.#close(answer.status === 401 ? CREDENTIALS_ENDED : BROKEN);
        return;
      }
      this.readyState = OPEN;
      await this.#listen(answer.body, goesOn);
      isWhole = true;
    } catch {
      // The response has ended, by an error or because it was aborted.
    }
    if (stream !== this.#stream) return;
    clearTimeout(this.#pollTimer);
    if (!polls || !isWhole) this.#close(BROKEN);
    else if (this.readyState === OPEN) this.#pollTimer = setTimeout(() => void this.#follow(stream), PAUSE);
  }

  #poll(): void {
    StreamSocket.#polls = true;
    this.#restart();
  }

  #restart(): void {
    clearTimeout(this.#pollTimer);
    const before = this.#stream;
    this.#stream = new AbortController();
    before.abort();
    void this.#follow(this.#stream);
  }

  async #listen(body: ReadableStream<Uint8Array>, goesOn: boolean): Promise<void> {
    const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
    let rest = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      this.#heardAt = Date.now();
      if (!StreamSocket.#polls) clearTimeout(this.#pollTimer);
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) this.#handleBlock(block, goesOn);
    }
  }

  #handleBlock(block: string, goesOn: boolean): void {
    let data = '';
    let type = '';
    for (const line of block.split('\n')) {
      if (line.startsWith('data: ')) data += line.slice(6);
      else if (line.startsWith('event: ')) type = line.slice(7);
      else if (line.startsWith('id: ')) this.#lastEventId = line.slice(4);
    }
    // A response that continues an earlier one starts with frames that were handled then.
    if (data === '' || (goesOn && (type === 'hello' || type === 'sync.done'))) return;
    if (type === 'hello') this.#notifyBlocked();
    this.onmessage?.({ data });
  }

  /** Shows a notice about slow updates, once per tab. */
  #notifyBlocked(): void {
    if (StreamSocket.#isSaid) return;
    StreamSocket.#isSaid = true;
    if (tabStorage.getItem(BLOCKED_KEY)) return;
    tabStorage.setItem(BLOCKED_KEY, '1');
    toast(m.live_blocked());
  }

  /**
   * Restarts the response if another conversation is open. Its request names the conversation, because the server sends ephemeral events of large
   * ones only to connections that show them.
   */
  #show(view: string): void {
    if (view === this.#view) return;
    this.#view = view;
    clearTimeout(this.#viewTimer);
    this.#viewTimer = setTimeout(() => {
      // Without the id of the last event, a new response would miss the events until it starts.
      if (this.readyState === OPEN && this.#lastEventId !== undefined) this.#restart();
    }, VIEW_DELAY);
  }

  #close(code: number): void {
    if (this.readyState === CLOSED) return;
    this.close();
    this.onclose?.({ code });
  }

  // ── Sending ──

  #emit(type: string, payload: unknown, reply_to: Id): void {
    if (this.readyState === CLOSED) return;
    this.onmessage?.({ data: JSON.stringify({ id: reply_to, type, timestamp: '', payload, reply_to }) });
  }

  /** Executes a request by HTTP and passes on the response as a frame. */
  async #answer(id: Id, run: () => Promise<unknown>, type = 'ack'): Promise<void> {
    try {
      this.#emit(type, await run(), id);
    } catch (error) {
      if (!(error instanceof ApiError) || error.isNetwork) {
        this.#close(BROKEN);
        return;
      }
      const { code, message, retryAfter, details } = error;
      this.#emit('error', { code, message, retry_after: retryAfter ?? null, details }, id);
    }
  }

  async #message({ conversation_id, ...message }: SendCommand['payload']): Promise<unknown> {
    const sent = (await this.#api.post(`/conversations/${conversation_id}/messages`, message)) as Message;
    return { message_id: sent.id, seq: sent.seq, duplicate: false };
  }

  async #sync(id: Id, cursors: Record<Id, number>): Promise<unknown> {
    const refused: { id: Id; code: string }[] = [];
    for (const [conversation, cursor] of Object.entries(cursors)) {
      let after_seq = cursor;
      for (let more = true; more;) {
        const path = `/conversations/${conversation}/events` as const;
        try {
          const page = await this.#api.get(path, { after_seq, limit: PAGE });
          for (const { type, payload, seq } of page.items) {
            this.#emit(type, payload, id);
            after_seq = seq;
          }
          more = page.has_more;
        } catch (error) {
          if (!(error instanceof ApiError) || error.isNetwork) throw error;
          refused.push({ id: conversation, code: error.code });
          more = false;
        }
      }
    }
    return { refused };
  }

  #read({ conversation_id, seq }: ReceiptCommand['payload']): Promise<unknown> {
    return this.#api.post(`/conversations/${conversation_id}/read`, { seq });
  }

  /** Ignores a failure: the next read position includes the lost one. */
  async #quietly(call: Promise<unknown>): Promise<void> {
    await call.catch(() => undefined);
  }
}
