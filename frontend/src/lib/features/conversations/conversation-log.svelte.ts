import { SvelteMap } from 'svelte/reactivity';
import { ApiError, type Api } from '#lib/api/client.ts';
import type { ToolCall } from '#lib/api/tools.ts';
import type { Cursor, DurableFrame, Mention, Message, Sender, ThreadSummary } from '#lib/api/types.ts';
import type { AttachedFile } from '#lib/realtime/pending-attachments.ts';
import { reduce, type LogInput } from '#lib/realtime/reducer.ts';
import { RowBuilder, type MessageView, type Row } from './rows.ts';
import {
  EMPTY,
  findIndexById,
  findIndexBySeq,
  isBehind,
  type Delta,
  type Entry,
  type LogState,
  type Placed
} from '#lib/realtime/state.ts';
import { DeltaBuffer } from './logic/delta-buffer.ts';
import { GapRepair } from './logic/gap-repair.ts';
import { grown, type Thoughts } from './logic/thoughts.ts';
import { StallWatch } from '#lib/realtime/stall-watch.ts';
import type { Person } from '#lib/features/people/people.svelte.ts';
import { MessageRequests } from './stores/message-requests.ts';
import type { OutboxStore } from './stores/outbox.svelte.ts';
import { ReadPositionsStore } from './stores/read-positions.svelte.ts';

/** Dependencies of a log on the store that holds it. */
export interface LogHost {
  readonly api: Api;
  readonly outbox: OutboxStore;
  readonly me: () => Sender;
  /** Records the name of a person who wrote in a conversation. */
  readonly learnName: (conversationId: string, person: Person) => void;
  readonly notify: (type: string, payload: unknown) => void;
  readonly sync: () => void;
}

/** Page size, also used by `app.html`; usually covers all unread messages. */
const PAGE = 80;
const OLDER_PAGE = 100;
const MAX_AT_ONCE = 200;
/** Read messages shown above the unread marker. */
const READ_BEFORE_UNREAD = 20;
/** Messages of a conversation or thread, in order, as far as they are loaded. */
export class ConversationLog {
  #state = $state.raw<LogState>(EMPTY);
  #error = $state.raw<unknown>(null);
  #loadingOlder = $state(false);
  #olderError = $state.raw<unknown>(null);
  #unreadFrom = $state<number | null>(null);
  readonly positions: ReadPositionsStore;
  readonly requests: MessageRequests;
  /** Reasoning text of models, by message. */
  readonly thoughts = new SvelteMap<string, Thoughts>();

  #builder = new RowBuilder();
  readonly #watch = new StallWatch(
    () => this.streaming.map(({ id, content }) => ({ id, length: content.length })),
    (id) => this.#fetchAnswer(id)
  );
  #latest: Promise<void> | null = null;
  readonly #deltas = new DeltaBuffer((deltas) =>
    this.#become(deltas.reduce((state, delta) => reduce(state, { kind: 'delta', delta }), this.#state))
  );
  readonly #repair = new GapRepair(
    () => this.#state.gaps,
    (id) => this.#fetchAnswer(id)
  );
  protected readTo = 0;
  /** Whether the reader marked messages unread in this visit. */
  keepsUnread = false;
  #limit = PAGE;
  protected readBefore = 0;
  protected readonly host: LogHost;

  constructor(
    readonly id: string,
    host: LogHost,
    /** Root message of the thread; null for the conversation itself. */
    readonly root: string | null = null
  ) {
    this.host = host;
    this.positions = new ReadPositionsStore(() => host.me().id);
    this.requests = new MessageRequests(host.api, this);
    this.#state = { ...EMPTY, line: root };
  }

  /**
   * Rows in display order; unchanged rows keep their identity. Not derived state, because that would belong to the component that opened the log
   * first.
   */
  get items(): readonly Row[] {
    const { entries, outbox, hasOlder, line } = this.#state;
    // The root of a thread precedes its first reply, once that is loaded.
    const isCut = hasOlder && line !== null && entries[0]?.message.id === line;
    return this.#builder.build(isCut ? entries.slice(1) : entries, outbox, {
      me: this.host.me(),
      unreadFrom: this.#unreadFrom
    });
  }

  get isLoaded(): boolean {
    return this.#state.loaded;
  }

  get hasOlder(): boolean {
    return this.#state.hasOlder;
  }

  get loading(): boolean {
    return !this.#state.loaded && this.#error === null;
  }

  get loadingOlder(): boolean {
    return this.#loadingOlder;
  }

  get error(): unknown {
    return this.#error;
  }

  get olderError(): unknown {
    return this.#olderError;
  }

  get isBehind(): boolean {
    return isBehind(this.#state);
  }

  /** Newest known event. */
  get known(): number {
    return this.#state.known;
  }

  protected get entries(): readonly Entry[] {
    return this.#state.entries;
  }

  get cursor(): number {
    return this.#state.cursor;
  }

  /** Sequence number up to which everything is read when the last message is visible; includes deleted messages after it. */
  get lastSeq(): number {
    return this.#state.loaded ? this.#state.cursor : 0;
  }

  /** Number of known events after the cursor. */
  get missing(): number {
    return this.#state.known - this.#state.cursor;
  }

  /** Streaming answers of this log. */
  get streaming(): readonly Message[] {
    return this.#state.entries.slice(-20).flatMap(({ message }) => (message.status === 'streaming' ? [message] : []));
  }

  find(id: string): Message | null {
    return this.#state.entries[findIndexById(this.#state.entries, id)]?.message ?? null;
  }

  /** Whether the message counts as unread: own messages and answers to own prompts don't. */
  isNews({ own, sender, replyTo }: Pick<MessageView, 'own' | 'sender' | 'replyTo'>): boolean {
    if (own) return false;
    if (sender.kind !== 'assistant' || replyTo === null) return true;
    const asked = this.find(replyTo)?.sender;
    return asked?.kind !== 'user' || asked.id !== this.host.me().id;
  }

  /** Message number of a log position. */
  noOf(seq: number): number | undefined {
    const at = this.#state.entries[findIndexBySeq(this.#state.entries, seq)]?.message;
    return at?.seq === seq ? at.no : undefined;
  }

  isGone(id: string): boolean {
    return this.#state.deletedIds.has(id);
  }

  // ── History ──

  /** Opens the log at the read position `read`; unread messages are loaded up to one page. */
  async open(read: number, last: number): Promise<void> {
    this.#limit = Math.min(MAX_AT_ONCE, Math.max(PAGE, last - read + READ_BEFORE_UNREAD));
    this.readBefore = read;
    // Marked unread on another device meanwhile.
    this.readTo = Math.min(this.readTo, read);
    this.keepsUnread = false;
    this.#unreadFrom = null;
    if (this.#state.loaded) this.markUnread();
    else await this.load();
    // The last event may not be a message, so no page contains it.
    this.noteLatestSeq(last);
    if (this.isBehind) this.host.sync();
  }

  load(): Promise<void> {
    this.#latest ??= this.#loadLatest().finally(() => (this.#latest = null));
    return this.#latest;
  }

  async #loadLatest(): Promise<void> {
    if (this.#state.loaded) return;
    this.#error = null;
    this.apply({ kind: 'requested' });
    const basis = this.#state.known;
    try {
      const page = await this.page({ limit: this.#limit });
      this.apply({ kind: 'page', part: 'latest', items: page.items, hasMore: page.has_more, basis });
      this.markUnread();
    } catch (error) {
      this.apply({ kind: 'unavailable' });
      this.#error = error;
    }
  }

  async loadOlder(): Promise<void> {
    const oldest = this.#state.entries.find(({ message }) => message.id !== this.root)?.message;
    if (!this.#state.hasOlder || this.#loadingOlder || oldest === undefined) return;
    this.#loadingOlder = true;
    this.#olderError = null;
    const basis = this.#state.known;
    try {
      const page = await this.page({ ...this.before(oldest), limit: OLDER_PAGE });
      // The log was reloaded meanwhile; merging this page would leave a gap.
      if (!this.find(oldest.id) && !this.isGone(oldest.id)) return;
      this.apply({ kind: 'page', part: 'older', items: page.items, hasMore: page.has_more, basis });
    } catch (error) {
      this.#olderError = error;
    } finally {
      this.#loadingOlder = false;
    }
  }

  /** Sets the unread marker above the first unread message of someone else. A manual mark may also be above an own message. */
  protected markUnread(isChosen = false): void {
    const first = this.items.findIndex(
      ({ view }) => view.seq !== null && view.seq > this.readBefore && (isChosen || !view.own)
    );
    this.#unreadFrom =
      first === -1 ? null : first === 0 && this.hasOlder ? this.readBefore + 1 : (this.items[first]?.view.seq ?? null);
  }

  protected page(query: Record<string, number>): Promise<Cursor<Message>> {
    return this.host.api.get(`/conversations/${this.id}/messages`, query);
  }

  protected before({ seq }: Message): Record<string, number> {
    return { before_seq: seq };
  }

  // ── Receiving ──

  apply(input: LogInput): void {
    if (input.kind === 'page') for (const { sender } of input.items) this.#learnSender(sender);
    if (input.kind === 'event' && input.frame.type === 'message.created')
      this.#learnSender(input.frame.payload.message.sender);
    this.#become(reduce(this.#state, input));
  }

  #become(state: LogState): void {
    const hasBranched = state.branch !== null && state.branch !== this.#state.branch;
    this.#state = state;
    if (hasBranched) void this.#readBranch();
    this.#watch.update();
    this.#repair.start();
  }

  #learnSender({ kind, id, name }: Sender): void {
    if (kind === 'user' && id !== null) this.host.learnName(this.id, { id, name });
  }

  applyFrame(frame: DurableFrame): void {
    this.#deltas.flush();
    this.apply({ kind: 'event', frame });
    // The reasoning of another version differs.
    if (frame.type === 'message.updated') this.thoughts.delete(frame.payload.message.id);
    if (frame.type === 'message.created') this.positions.applySender(frame.payload.message);
    if (this.isBehind) this.host.sync();
  }

  /** Records that events up to `seq` exist, as the hello states. */
  noteLatestSeq(seq: number): void {
    this.apply({ kind: 'heard', seq });
  }

  applyDelta(delta: Delta): void {
    this.#deltas.add(delta);
  }

  applyThought(piece: Delta): void {
    this.thoughts.set(piece.message_id, grown(this.thoughts.get(piece.message_id), piece));
  }

  applyToolCall(messageId: string, call: ToolCall): void {
    // Keeps the order with pending deltas.
    this.#deltas.flush();
    this.apply({ kind: 'tool_call', messageId, call });
  }

  applyThread(messageId: string, thread: ThreadSummary | null): void {
    this.apply({ kind: 'thread', messageId, thread });
  }

  /** Reloads the log after it was trimmed or has fallen too far behind. */
  startOver(): Promise<void> {
    this.apply({ kind: 'expired' });
    return this.load();
  }

  async #fetchAnswer(id: string): Promise<void> {
    const basis = this.#state.known;
    try {
      this.apply({ kind: 'fetched', message: await this.host.api.get(`/messages/${id}`), basis });
    } catch (error) {
      // Other errors are retried.
      if (error instanceof ApiError && error.status === 404) this.apply({ kind: 'removed', id });
    }
  }

  /** Whether own messages are not in the log yet. */
  get hasUnsent(): boolean {
    return this.#state.outbox.length > 0;
  }

  /** Unloads messages that were read; the next visit loads them again. */
  unload(): void {
    this.#deltas.clear();
    this.apply({ kind: 'expired' });
    this.#builder = new RowBuilder();
    this.thoughts.clear();
  }

  close(): void {
    this.#watch.stop();
    this.#deltas.stop();
  }

  /** Loads the messages after a message whose version changed. */
  async #readBranch(): Promise<void> {
    const { branch, known: basis } = this.#state;
    if (!branch) return;
    try {
      const page = await this.page({ after_seq: branch.after, limit: MAX_AT_ONCE });
      if (page.has_more) await this.startOver();
      else this.apply({ kind: 'branch', items: page.items, basis, branch });
    } catch {
      // Incomplete: reload everything and report a failure.
      await this.startOver();
    }
  }

  // ── Actions ──

  send(
    content: string,
    replyTo: string | null = null,
    mentions: readonly Mention[] = [],
    files: readonly AttachedFile[] = [],
    placed: Placed = {}
  ): string {
    // Sending a message marks the conversation read.
    this.#unreadFrom = null;
    this.readBefore = Number.POSITIVE_INFINITY;
    return this.host.outbox.send(this.id, content, replyTo, mentions, files, placed);
  }

  /** Outbox with the messages that are not sent yet. */
  get outbox(): OutboxStore {
    return this.host.outbox;
  }

  /** Applies a manual unread mark, which stays for this visit. */
  applyReadPosition(read: number): void {
    this.keepsUnread = true;
    this.readTo = read;
    this.readBefore = read;
    this.positions.resetOwn(read);
    this.markUnread(true);
  }

  /** The reader has seen everything up to here. */
  markRead(seq: number): void {
    if (seq <= this.readTo) return;
    this.readTo = seq;
    this.host.notify('receipt', { conversation_id: this.id, seq, state: 'read' });
  }

  /** Repeats the read position after a reconnect, unless it was sent before. */
  repeatRead(): void {
    if (this.readTo > this.positions.own)
      this.host.notify('receipt', { conversation_id: this.id, seq: this.readTo, state: 'read' });
  }
}
