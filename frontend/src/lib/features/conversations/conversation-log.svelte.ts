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
import { appendThought, type Thoughts } from './logic/thoughts.ts';
import { StallWatch } from '#lib/realtime/stall-watch.ts';
import type { Person } from '#lib/features/people/people.svelte.ts';
import type { OutboxStore } from './stores/outbox.svelte.ts';
import { ReadPositionsStore } from './stores/read-positions.svelte.ts';

/** Functions of the store of all logs that a log needs. */
export interface LogHost {
  readonly api: Api;
  readonly outbox: OutboxStore;
  readonly me: () => Sender;
  /** Stores the name of a person who has written in a conversation. */
  readonly learnName: (conversationId: string, person: Person) => void;
  readonly notify: (type: string, payload: unknown) => void;
  readonly sync: () => void;
}

/** Number of messages that are loaded first. Usually includes all unread ones; `app.html` requests the same number. */
const PAGE = 80;
const OLDER_PAGE = 100;
const MAX_AT_ONCE = 200;
/** Number of read messages that are shown above the unread marker. */
const READ_BEFORE_UNREAD = 20;
/** Loaded messages of a conversation or thread, in order. */
export class ConversationLog {
  #state = $state.raw<LogState>(EMPTY);
  #error = $state.raw<unknown>(null);
  #loadingOlder = $state(false);
  #olderError = $state.raw<unknown>(null);
  #unreadFrom = $state<number | null>(null);
  readonly positions: ReadPositionsStore;
  /** Reasoning of models, by the id of the answer. */
  readonly thoughts = new SvelteMap<string, Thoughts>();

  #builder = new RowBuilder();
  readonly #watch = new StallWatch(
    () => this.streaming.map(({ id, content }) => ({ id, length: content.length })),
    (id) => this.#fetchAnswer(id)
  );
  #latest: Promise<void> | null = null;
  readonly #deltas = new DeltaBuffer((deltas) =>
    this.#setState(deltas.reduce((state, delta) => reduce(state, { kind: 'delta', delta }), this.#state))
  );
  readonly #repair = new GapRepair(
    () => this.#state.gaps,
    (id) => this.#fetchAnswer(id)
  );
  protected readTo = 0;
  /** Whether the reader has marked messages unread since opening the conversation. */
  keepsUnread = false;
  #limit = PAGE;
  protected readBefore = 0;
  protected readonly host: LogHost;

  constructor(
    readonly id: string,
    host: LogHost,
    /** Id of the first message of a thread; null for the log of a conversation. */
    readonly root: string | null = null
  ) {
    this.host = host;
    this.positions = new ReadPositionsStore(() => host.me().id);
    this.#state = { ...EMPTY, line: root };
  }

  /**
   * Rows in display order; rows that have not changed keep their identity. A getter instead of derived state, because that would belong to the
   * component that opens the log first.
   */
  get items(): readonly Row[] {
    const { entries, outbox, hasOlder, line } = this.#state;
    // The first message of a thread is shown only when all replies are loaded, because it must be followed by the first one.
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

  /** Sequence number of the newest known event. */
  get lastKnownSeq(): number {
    return this.#state.known;
  }

  protected get entries(): readonly Entry[] {
    return this.#state.entries;
  }

  get cursor(): number {
    return this.#state.cursor;
  }

  /**
   * Sequence number to report as read when the last message becomes visible. It may be higher than that of the message, because later ones were
   * deleted.
   */
  get lastSeq(): number {
    return this.#state.loaded ? this.#state.cursor : 0;
  }

  /** Number of known events that are not applied yet. */
  get missing(): number {
    return this.#state.known - this.#state.cursor;
  }

  /** Answers that are being streamed. */
  get streaming(): readonly Message[] {
    return this.#state.entries.slice(-20).flatMap(({ message }) => (message.status === 'streaming' ? [message] : []));
  }

  find(id: string): Message | null {
    return this.#state.entries[findIndexById(this.#state.entries, id)]?.message ?? null;
  }

  /** Whether a message counts as unread. The user's own messages and the answers to them don't. */
  countsAsUnread({ own, sender, replyTo }: Pick<MessageView, 'own' | 'sender' | 'replyTo'>): boolean {
    if (own) return false;
    if (sender.kind !== 'assistant' || replyTo === null) return true;
    const asked = this.find(replyTo)?.sender;
    return asked?.kind !== 'user' || asked.id !== this.host.me().id;
  }

  /** Number of the message with this sequence number; undefined if that isn't loaded. */
  noOf(seq: number): number | undefined {
    const at = this.#state.entries[findIndexBySeq(this.#state.entries, seq)]?.message;
    return at?.seq === seq ? at.no : undefined;
  }

  isGone(id: string): boolean {
    return this.#state.deletedIds.has(id);
  }

  /** Returns a message, which is fetched if it isn't loaded; null if it was deleted. */
  async fetch(id: string): Promise<Message | null> {
    const have = this.find(id);
    if (have || this.isGone(id)) return have;
    try {
      const message = await this.host.api.get(`/messages/${id}`);
      return message.deleted_at ? null : message;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    }
  }

  // ── History ──

  /** Opens the log at the read position `read`. Unread messages are loaded too, as far as they fit into one request. */
  async open(read: number, last: number): Promise<void> {
    this.#limit = Math.min(MAX_AT_ONCE, Math.max(PAGE, last - read + READ_BEFORE_UNREAD));
    this.readBefore = read;
    // The user may have marked messages unread on another device.
    this.readTo = Math.min(this.readTo, read);
    this.keepsUnread = false;
    this.#unreadFrom = null;
    if (this.#state.loaded) this.markUnread();
    else await this.load();
    // The last event may not be a message, and then no page of messages contains its number.
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
      const page = await this.page({ ...this.olderPageQuery(oldest), limit: OLDER_PAGE });
      // The log was reloaded while this request was in progress, and adding its page would leave a gap.
      if (!this.find(oldest.id) && !this.isGone(oldest.id)) return;
      this.apply({ kind: 'page', part: 'older', items: page.items, hasMore: page.has_more, basis });
    } catch (error) {
      this.#olderError = error;
    } finally {
      this.#loadingOlder = false;
    }
  }

  /** Places the unread marker above the first unread message of someone else. If the user has chosen the position, it may also be above their own. */
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

  protected olderPageQuery({ seq }: Message): Record<string, number> {
    return { before_seq: seq };
  }

  // ── Receiving ──

  apply(input: LogInput): void {
    if (input.kind === 'page') for (const { sender } of input.items) this.#learnSender(sender);
    if (input.kind === 'event' && input.frame.type === 'message.created')
      this.#learnSender(input.frame.payload.message.sender);
    this.#setState(reduce(this.#state, input));
  }

  #setState(state: LogState): void {
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
    // The reasoning belongs to the previous version of the answer.
    if (frame.type === 'message.updated') this.thoughts.delete(frame.payload.message.id);
    if (frame.type === 'message.created') this.positions.applySender(frame.payload.message);
    if (this.isBehind) this.host.sync();
  }

  /** Records that there are events up to `seq`, as the server states after connecting. */
  noteLatestSeq(seq: number): void {
    this.apply({ kind: 'heard', seq });
  }

  applyDelta(delta: Delta): void {
    this.#deltas.add(delta);
  }

  applyThought(piece: Delta): void {
    this.thoughts.set(piece.message_id, appendThought(this.thoughts.get(piece.message_id), piece));
  }

  applyToolCall(messageId: string, call: ToolCall): void {
    // Applies pending deltas first, to keep the order.
    this.#deltas.flush();
    this.apply({ kind: 'tool_call', messageId, call });
  }

  applyThread(messageId: string, thread: ThreadSummary | null): void {
    this.apply({ kind: 'thread', messageId, thread });
  }

  /** Reloads the log because the server has deleted missed events or because too many were missed. */
  reloadFromStart(): Promise<void> {
    this.apply({ kind: 'expired' });
    return this.load();
  }

  async #fetchAnswer(id: string): Promise<void> {
    const basis = this.#state.known;
    try {
      this.apply({ kind: 'fetched', message: await this.host.api.get(`/messages/${id}`), basis });
    } catch (error) {
      // After any other error the answer is fetched again later.
      if (error instanceof ApiError && error.status === 404) this.apply({ kind: 'removed', id });
    }
  }

  /** Whether there are messages of the user that are not in the log yet. */
  get hasUnsent(): boolean {
    return this.#state.outbox.length > 0;
  }

  /** Releases the loaded messages. The next visit loads them again. */
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

  /** Reloads the messages after a message of which another version was selected. */
  async #readBranch(): Promise<void> {
    const { branch, known: basis } = this.#state;
    if (!branch) return;
    try {
      const page = await this.page({ after_seq: branch.after, limit: MAX_AT_ONCE });
      if (page.has_more) await this.reloadFromStart();
      else this.apply({ kind: 'branch', items: page.items, basis, branch });
    } catch {
      // Some messages are missing: reloads everything, which also reports a failure.
      await this.reloadFromStart();
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
    // Sending a message also marks the conversation read.
    this.#unreadFrom = null;
    this.readBefore = Number.POSITIVE_INFINITY;
    return this.host.outbox.send(this.id, content, replyTo, mentions, files, placed);
  }

  /** Outbox with the user's messages that are not sent yet. */
  get outbox(): OutboxStore {
    return this.host.outbox;
  }

  /** Applies that the user has marked messages unread. They stay unread until the conversation is opened again. */
  applyReadPosition(read: number): void {
    this.keepsUnread = true;
    this.readTo = read;
    this.readBefore = read;
    this.positions.resetOwn(read);
    this.markUnread(true);
  }

  /** Reports that the user has read everything up to `seq`. */
  markRead(seq: number): void {
    if (seq <= this.readTo) return;
    this.readTo = seq;
    this.host.notify('receipt', { conversation_id: this.id, seq, state: 'read' });
  }

  /** Reports the read position again after a reconnect, unless the server has it already. */
  repeatRead(): void {
    if (this.readTo > this.positions.own)
      this.host.notify('receipt', { conversation_id: this.id, seq: this.readTo, state: 'read' });
  }
}
