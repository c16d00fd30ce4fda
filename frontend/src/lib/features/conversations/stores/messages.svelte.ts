/** Logs of the recently opened conversations. After each connection and resync, one request asks for the events that all of them have missed. */
import { ApiError, type Api } from '#lib/api/client.ts';
import { isDurable } from '#lib/realtime/frames.ts';
import type { AckPayload, DurableFrame, HelloPayload, Message, Sender, ServerFrame } from '#lib/api/types.ts';
import { BrowserOutboxStorage, type OutboxStorage } from '#lib/realtime/outbox-storage.ts';
import type { LogInput } from '#lib/realtime/reducer.ts';
import type { OutgoingFiles } from '#lib/features/files/attachments.svelte.ts';
import { ConversationLog, type LogHost } from '../conversation-log.svelte.ts';
import type { ThreadLog } from '#lib/features/threads/thread-log.svelte.ts';
import type { PeopleStore } from '#lib/features/people/people.svelte.ts';
import { OutboxStore, type OutboxChannel, type OutboxConnection } from './outbox.svelte.ts';

/** Methods of the connection that this store uses. */
export interface MessageUpdates extends OutboxConnection {
  on(handler: (frame: ServerFrame) => void): () => void;
  onConnect(handler: (hello: HelloPayload) => void): () => void;
  request(type: string, payload: unknown): Promise<AckPayload>;
  notify(type: string, payload: unknown): void;
}

/** Error codes that concern a single conversation of a sync. A frame reports them as well, and the other conversations are synced. */
const SAID_AGAIN = new Set(['cursor_expired', 'not_found']);
/** Number of missed events above which a log is reloaded instead of synced. */
const WORTH_CATCHING_UP = 1_000;
/** Time in milliseconds to wait for an event that is overtaken by one of another instance. */
const REORDER_WITHIN = 150;
const FIRST_PAUSE = 500;
const MAX_PAUSE = 30_000;
/** Delay in milliseconds in which reports of delivered messages are collected. */
const DELIVERED_AFTER = 400;
/** Maximum number of conversations whose messages stay loaded. */
const MAX_LOADED = 10;
const NOBODY: Sender = { kind: 'user', id: null, name: '' };

export class MessagesStore {
  readonly outbox: OutboxStore;
  /** Logs by conversation, least recently shown first. */
  readonly #logs = new Map<string, ConversationLog>();
  /** Conversations that are shown. A new one may be mounted before the old one is unmounted. */
  readonly #shown = new Set<{ readonly id: string }>();
  /** Returns whether a conversation has a draft, because then it stays loaded. */
  isBegun: (conversationId: string) => boolean = () => false;
  /** Logs of open threads, by the id of the first message. */
  readonly #threads = new Map<string, ThreadLog>();
  readonly #live: MessageUpdates;
  readonly #host: LogHost;
  readonly #leave: (() => void)[];
  readonly #delivered = new Map<string, number>();
  readonly #undelivered = new Set<string>();
  #deliveredTimer: ReturnType<typeof setTimeout> | undefined;
  #me = $state.raw<Sender>(NOBODY);
  #syncTimer: ReturnType<typeof setTimeout> | undefined;
  #isSyncing = false;
  #pauses = 0;
  /** Ids of conversations to sync although no missing event is known. */
  readonly #pendingSync = new Set<string>();

  constructor(
    api: Api,
    live: MessageUpdates,
    people: Pick<PeopleStore, 'add'>,
    files: OutgoingFiles,
    storage: OutboxStorage = new BrowserOutboxStorage(),
    channel?: OutboxChannel
  ) {
    this.#live = live;
    this.outbox = new OutboxStore(
      live,
      storage,
      (id, input) => this.#place(id, input),
      (id, message) => api.post(`/conversations/${id}/messages`, message) as Promise<Message>,
      files,
      channel
    );
    this.#host = {
      api,
      outbox: this.outbox,
      me: () => this.#me,
      learnName: (id, person) => people.add(id, person),
      notify: (type, payload) => live.notify(type, payload),
      sync: () => this.#syncSoon(REORDER_WITHIN)
    };
    this.#leave = [live.on((frame) => this.#handleFrame(frame)), live.onConnect((hello) => this.#handleHello(hello))];
  }

  /** Starts loading for an account. Called after sign-in. */
  open(me: Sender): void {
    this.#me = me;
    if (me.id) void this.outbox.open(me.id);
  }

  close(): void {
    for (const leave of this.#leave) leave();
    this.#me = NOBODY;
    this.outbox.close();
    for (const log of this.#all()) log.close();
    this.#logs.clear();
    this.#threads.clear();
    this.#pendingSync.clear();
    this.#delivered.clear();
    this.#undelivered.clear();
    clearTimeout(this.#syncTimer);
    this.#syncTimer = undefined;
    clearTimeout(this.#deliveredTimer);
    this.#deliveredTimer = undefined;
  }

  conversation(id: string): ConversationLog {
    let log = this.#logs.get(id);
    if (!log) {
      log = new ConversationLog(id, this.#host);
      this.#logs.set(id, log);
    }
    return log;
  }

  /** Marks a conversation as shown; returns a function that ends that. */
  show(id: string): () => void {
    const shownLast = () => {
      const log = this.#logs.get(id);
      if (log && this.#logs.delete(id)) this.#logs.set(id, log);
    };
    const here = { id };
    this.conversation(id);
    this.#shown.add(here);
    shownLast();
    this.#unloadOldest();
    return () => {
      this.#shown.delete(here);
      shownLast();
    };
  }

  #unloadOldest(): void {
    const shown = new Set([...this.#shown].map(({ id }) => id));
    const loaded = [...this.#logs.values()].filter((log) => log.isLoaded || shown.has(log.id));
    let over = loaded.length - MAX_LOADED;
    for (const log of loaded) {
      if (over <= 0) return;
      if (shown.has(log.id) || log.hasUnsent || this.isBegun(log.id)) continue;
      log.unload();
      over -= 1;
    }
  }

  /** Log of a thread. Its class is given by the caller, because it is loaded with the thread panel. */
  thread(conversationId: string, rootId: string, Made: typeof ThreadLog): ThreadLog {
    let log = this.#threads.get(rootId);
    if (!log) {
      log = new Made(conversationId, this.#host, rootId);
      log.noteLatestSeq(this.#logs.get(conversationId)?.lastKnownSeq ?? 0);
      for (const outgoing of this.outbox.inThread(rootId)) log.apply({ kind: 'queued', outgoing });
      this.#threads.set(rootId, log);
    }
    return log;
  }

  closeThread(rootId: string): void {
    this.#threads.get(rootId)?.close();
    this.#threads.delete(rootId);
  }

  *#all(): Iterable<ConversationLog> {
    yield* this.#logs.values();
    yield* this.#threads.values();
  }

  /** Logs of a conversation and its open threads. */
  #logsOf(id: string): ConversationLog[] {
    const main = this.#logs.get(id);
    const threads = [...this.#threads.values()].filter((thread) => thread.id === id);
    return main ? [main, ...threads] : threads;
  }

  /** Applies a change of an unsent message to the logs that show it. */
  #place(id: string, input: LogInput): void {
    const main = this.conversation(id);
    if (input.kind !== 'queued') for (const log of this.#logsOf(id)) log.apply(input);
    else {
      const { thread_id, also_to_conversation } = input.outgoing;
      if (thread_id) this.#threads.get(thread_id)?.apply(input);
      if (!thread_id || also_to_conversation) main.apply(input);
    }
  }

  #handleFrame(frame: ServerFrame): void {
    if (isDurable(frame)) {
      const main = this.conversation(frame.payload.conversation_id);
      for (const log of this.#logsOf(main.id)) log.applyFrame(frame);
      if (frame.type === 'message.created') {
        const { conversation_id, seq, message } = frame.payload;
        if (message.sender.id !== this.#me.id) this.recordDelivered(conversation_id, seq);
        else if (message.client_id) this.outbox.acknowledge(message.client_id, seq);
      }
      if (this.#isGone(frame)) this.#evict(frame.payload.conversation_id);
      return;
    }
    switch (frame.type) {
      case 'message.delta':
        for (const log of this.#logsOf(frame.payload.conversation_id)) log.applyDelta(frame.payload);
        break;
      case 'message.thought':
        for (const log of this.#logsOf(frame.payload.conversation_id)) log.applyThought(frame.payload);
        break;
      case 'message.tool_call': {
        const { conversation_id, message_id, call } = frame.payload;
        for (const log of this.#logsOf(conversation_id)) log.applyToolCall(message_id, call);
        break;
      }
      case 'thread.updated': {
        const { conversation_id, message_id, thread } = frame.payload;
        for (const log of this.#logsOf(conversation_id)) log.applyThread(message_id, thread ?? null);
        break;
      }
      case 'thread.own':
        this.#threads.get(frame.payload.message_id)?.applyOwnState(frame.payload);
        break;
      case 'user.changed':
        for (const log of this.#all()) log.apply({ kind: 'renamed', who: frame.payload });
        break;
      case 'receipt':
        this.#logs.get(frame.payload.conversation_id)?.positions.applyReceipt(frame.payload);
        break;
      case 'conversation.unread':
        this.#logs.get(frame.payload.conversation_id)?.applyReadPosition(frame.payload.read_seq);
        break;
      case 'receipts':
        this.#logs.get(frame.payload.conversation_id)?.positions.applyReaders(frame.payload.items);
        break;
      case 'member.removed':
        if (frame.payload.user_id === this.#me.id) this.#evict(frame.payload.conversation_id);
        break;
      case 'resync':
        for (const id of frame.payload.conversation_ids ?? this.#logs.keys()) this.#pendingSync.add(id);
        this.#syncSoon(0);
        break;
      case 'sync.done':
        for (const { id, code } of (frame.payload as Partial<typeof frame.payload>).refused ?? [])
          this.#handleSyncRefusal(id, code);
        break;
    }
  }

  /** Handles that a conversation could not be synced from its cursor. */
  #handleSyncRefusal(id: string, code: string): void {
    if (code === 'cursor_expired') for (const log of this.#logsOf(id)) void log.reloadFromStart();
    else if (code === 'not_found') this.#evict(id);
    else this.#pendingSync.add(id);
  }

  #isGone(frame: DurableFrame): boolean {
    return (
      frame.type === 'conversation.deleted' ||
      (frame.type === 'member.removed' && frame.payload.user_id !== null && frame.payload.user_id === this.#me.id)
    );
  }

  #evict(id: string): void {
    for (const log of this.#logsOf(id)) {
      log.close();
      if (log.root !== null) this.#threads.delete(log.root);
    }
    this.#logs.delete(id);
    this.#pendingSync.delete(id);
  }

  #handleHello(hello: HelloPayload): void {
    for (const { id, last_seq } of hello.conversations) for (const log of this.#logsOf(id)) log.noteLatestSeq(last_seq);
    for (const log of this.#all()) {
      log.repeatRead();
      // If loading has failed, it is tried again after a reconnect.
      if (log.error !== null) void log.load();
    }
    this.#reportDelivered();
    this.#pauses = 0;
    this.#syncSoon(0);
    this.outbox.resume();
  }

  /** Records that messages up to `seq` were delivered, which is reported soon. */
  recordDelivered(conversationId: string, seq: number): void {
    if (seq <= (this.#delivered.get(conversationId) ?? 0)) return;
    this.#delivered.set(conversationId, seq);
    this.#undelivered.add(conversationId);
    this.#deliveredTimer ??= setTimeout(() => this.#reportDelivered(), DELIVERED_AFTER);
  }

  #reportDelivered(): void {
    this.#deliveredTimer = undefined;
    // Reported after the next connection.
    if (!this.#live.ready) return;
    for (const conversation_id of this.#undelivered) {
      this.#live.notify('receipt', { conversation_id, seq: this.#delivered.get(conversation_id), state: 'delivered' });
    }
    this.#undelivered.clear();
  }

  #syncSoon(milliseconds: number): void {
    if (this.#isSyncing || (this.#syncTimer !== undefined && milliseconds > 0)) return;
    clearTimeout(this.#syncTimer);
    this.#syncTimer = setTimeout(() => {
      this.#syncTimer = undefined;
      void this.#sync();
    }, milliseconds);
  }

  async #sync(): Promise<void> {
    if (!this.#live.ready || this.#isSyncing) return;
    const behind = [...this.#all()].filter((log) => log.isLoaded && (log.isBehind || this.#pendingSync.has(log.id)));
    const far = behind.filter((log) => log.missing > WORTH_CATCHING_UP);
    for (const log of far) void log.reloadFromStart();
    const near = behind.filter((log) => !far.includes(log));
    for (const log of behind) this.#pendingSync.delete(log.id);
    if (near.length === 0) return;
    this.#isSyncing = true;
    try {
      // A conversation and its threads are synced from the oldest of their cursors.
      const cursors = new Map<string, number>();
      for (const { id, cursor } of near) cursors.set(id, Math.min(cursor, cursors.get(id) ?? cursor));
      await this.#live.request('sync', { cursors: Object.fromEntries(cursors) });
    } catch (error) {
      // The next connection tries again.
      if (!this.#live.ready) return;
      // Errors about single conversations are reported by the frame `sync.done` as well. After any other failure, all of them must be synced again.
      const isSaidAgain = error instanceof ApiError && SAID_AGAIN.has(error.code);
      if (!isSaidAgain) for (const log of near) this.#pendingSync.add(log.id);
    } finally {
      this.#isSyncing = false;
    }
    const isDone = this.#pendingSync.size === 0 && ![...this.#all()].some((log) => log.isBehind);
    this.#pauses = isDone ? 0 : this.#pauses + 1;
    if (!isDone) this.#syncSoon(Math.min(MAX_PAUSE, FIRST_PAUSE * 2 ** this.#pauses));
  }
}
