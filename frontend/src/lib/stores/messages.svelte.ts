/**
 * All conversations that have been opened, fed by the one connection. After each hello and each resync every log asks
 * for what came after its cursor, in one question.
 */
import { ApiError, type Api } from '#lib/api/client.ts';
import { isDurable } from '#lib/api/frames.ts';
import type { AckPayload, DurableFrame, HelloPayload, Message, Sender, ServerFrame } from '#lib/api/types.ts';
import { BrowserOutboxStorage, type OutboxStorage } from '#lib/chat/outbox-storage.ts';
import type { OutgoingFiles } from './attachments.svelte.ts';
import { ConversationLog, type LogHost } from './conversation-log.svelte.ts';
import type { People } from './people.svelte.ts';
import { Outbox, type OutboxLine } from './outbox.svelte.ts';

/** What of the connection is used here. */
export interface MessagesLine extends OutboxLine {
  on(handler: (frame: ServerFrame) => void): () => void;
  onHello(handler: (hello: HelloPayload) => void): () => void;
  request(type: string, payload: unknown): Promise<AckPayload>;
  notify(type: string, payload: unknown): void;
}

interface SyncDone {
  refused: { id: string; code: string }[];
}

/** Why one conversation of a sync is refused; the others are answered all the same. */
const SAID_AGAIN = new Set(['cursor_expired', 'not_found']);
/** A log that missed more than this is read anew rather than caught up event by event. */
const WORTH_CATCHING_UP = 1_000;
/** Events of two instances may arrive in the wrong order: such a gap closes by itself. */
const REORDER_WITHIN = 150;
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 30_000;
/** “Delivered” is told this long after the last message came, once for all of them. */
const DELIVERED_AFTER = 400;
const NOBODY: Sender = { kind: 'user', id: null, name: '' };

export class MessagesStore {
  readonly outbox: Outbox;
  readonly #logs = new Map<string, ConversationLog>();
  readonly #line: MessagesLine;
  readonly #host: LogHost;
  readonly #leave: (() => void)[];
  readonly #delivered = new Map<string, number>();
  readonly #undelivered = new Set<string>();
  #deliveredTimer: ReturnType<typeof setTimeout> | undefined;
  #me = $state.raw<Sender>(NOBODY);
  #syncTimer: ReturnType<typeof setTimeout> | undefined;
  #isSyncing = false;
  #pauses = 0;
  /** Logs that are to be asked for although they know of nothing that they miss. */
  readonly #doubtful = new Set<string>();

  constructor(
    api: Api,
    line: MessagesLine,
    people: Pick<People, 'learn'>,
    files: OutgoingFiles,
    storage: OutboxStorage = new BrowserOutboxStorage()
  ) {
    this.#line = line;
    this.outbox = new Outbox(
      line,
      storage,
      (id, input) => this.conversation(id).apply(input),
      (id, message) => api.post<Message>(`/conversations/${id}/messages`, message),
      files
    );
    this.#host = {
      api,
      outbox: this.outbox,
      me: () => this.#me,
      learn: (id, person) => people.learn(id, person),
      tell: (type, payload) => line.notify(type, payload),
      sync: () => this.#syncSoon(REORDER_WITHIN)
    };
    this.#leave = [line.on((frame) => this.#hear(frame)), line.onHello((hello) => this.#greet(hello))];
  }

  /** Somebody has signed in. */
  open(me: Sender): void {
    this.#me = me;
    if (me.id) void this.outbox.open(me.id);
  }

  close(): void {
    for (const leave of this.#leave) leave();
    this.#me = NOBODY;
    this.outbox.close();
    for (const log of this.#logs.values()) log.close();
    this.#logs.clear();
    this.#doubtful.clear();
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

  #hear(frame: ServerFrame): void {
    if (isDurable(frame)) {
      this.conversation(frame.payload.conversation_id).hear(frame);
      if (frame.type === 'message.created' && frame.payload.message.sender.id !== this.#me.id) {
        this.received(frame.payload.conversation_id, frame.payload.seq);
      }
      if (this.#isGone(frame)) this.#forget(frame.payload.conversation_id);
      return;
    }
    switch (frame.type) {
      case 'message.delta':
        this.#logs.get(frame.payload.conversation_id)?.hearDelta(frame.payload);
        break;
      case 'message.tool_call': {
        const { conversation_id, message_id, call } = frame.payload;
        this.#logs.get(conversation_id)?.hearToolCall(message_id, call);
        break;
      }
      case 'receipt':
        this.#logs.get(frame.payload.conversation_id)?.hearPosition(frame.payload);
        break;
      case 'receipts':
        this.#logs.get(frame.payload.conversation_id)?.hearReaders(frame.payload.items);
        break;
      case 'member.removed':
        if (frame.payload.user_id === this.#me.id) this.#forget(frame.payload.conversation_id);
        break;
      case 'resync':
        for (const id of frame.payload.conversation_ids ?? this.#logs.keys()) this.#doubtful.add(id);
        this.#syncSoon(0);
        break;
      case 'sync.done':
        for (const { id, code } of (frame.payload as Partial<SyncDone>).refused ?? []) this.#refused(id, code);
        break;
    }
  }

  /** The log of a conversation could not be read on from its cursor. */
  #refused(id: string, code: string): void {
    if (code === 'cursor_expired') void this.#logs.get(id)?.startOver();
    else if (code === 'not_found') this.#forget(id);
    else this.#doubtful.add(id);
  }

  #isGone(frame: DurableFrame): boolean {
    return (
      frame.type === 'conversation.deleted' ||
      (frame.type === 'member.removed' && frame.payload.user_id !== null && frame.payload.user_id === this.#me.id)
    );
  }

  #forget(id: string): void {
    this.#logs.get(id)?.close();
    this.#logs.delete(id);
    this.#doubtful.delete(id);
  }

  #greet(hello: HelloPayload): void {
    for (const { id, last_seq } of hello.conversations) this.#logs.get(id)?.hearOf(last_seq);
    for (const log of this.#logs.values()) {
      log.repeatRead();
      // What could not be loaded heals with the connection.
      if (log.error !== null) void log.load();
    }
    this.#sayDelivered();
    this.#pauses = 0;
    this.#syncSoon(0);
    this.outbox.resume();
  }

  /** This device has what was said in a conversation up to here. */
  received(conversationId: string, seq: number): void {
    if (seq <= (this.#delivered.get(conversationId) ?? 0)) return;
    this.#delivered.set(conversationId, seq);
    this.#undelivered.add(conversationId);
    this.#deliveredTimer ??= setTimeout(() => this.#sayDelivered(), DELIVERED_AFTER);
  }

  #sayDelivered(): void {
    this.#deliveredTimer = undefined;
    // What is said without a connection is not heard; the next hello says it.
    if (!this.#line.ready) return;
    for (const conversation_id of this.#undelivered) {
      this.#line.notify('receipt', { conversation_id, seq: this.#delivered.get(conversation_id), state: 'delivered' });
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
    if (!this.#line.ready || this.#isSyncing) return;
    const behind = [...this.#logs.values()].filter(
      (log) => log.isLoaded && (log.isBehind || this.#doubtful.has(log.id))
    );
    const far = behind.filter((log) => log.missing > WORTH_CATCHING_UP);
    for (const log of far) void log.startOver();
    const near = behind.filter((log) => !far.includes(log));
    for (const log of behind) this.#doubtful.delete(log.id);
    if (near.length === 0) return;
    this.#isSyncing = true;
    try {
      await this.#line.request('sync', { cursors: Object.fromEntries(near.map((log) => [log.id, log.cursor])) });
    } catch (error) {
      // Without a connection the next hello asks again.
      if (!(error instanceof ApiError)) return;
      // A refusal that names no conversation is followed by `sync.done`, which does.
      if (!SAID_AGAIN.has(error.code)) for (const log of near) this.#doubtful.add(log.id);
    } finally {
      this.#isSyncing = false;
    }
    const isDone = this.#doubtful.size === 0 && ![...this.#logs.values()].some((log) => log.isBehind);
    this.#pauses = isDone ? 0 : this.#pauses + 1;
    if (!isDone) this.#syncSoon(Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.#pauses));
  }
}
