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
  readonly learn: (conversationId: string, person: Person) => void;
  readonly tell: (type: string, payload: unknown) => void;
  readonly sync: () => void;
}

/** As `app.html` asks for it; one page holds what is unread, unless that is much. */
const PAGE = 80;
const OLDER_PAGE = 100;
const MAX_AT_ONCE = 200;
/** So much of what was read already stands above the unread line. */
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
  /** What models think before they write, by the message that it becomes. */
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
  /** Something here was marked as unread since the reader came in. */
  keepsUnread = false;
  #limit = PAGE;
  protected readBefore = 0;
  protected readonly host: LogHost;

  constructor(
    readonly id: string,
    host: LogHost,
    /** The message whose thread this is; null: the conversation's main line. */
    readonly root: string | null = null
  ) {
    this.host = host;
    this.positions = new ReadPositionsStore(() => host.me().id);
    this.requests = new MessageRequests(host.api, this);
    this.#state = { ...EMPTY, line: root };
  }

  /**
   * Everything that is shown, in order; rows stay the same objects while nothing about them changes. Not a derived value: that
   * would belong to the component which opened the log first, and go stale when it is gone.
   */
  get items(): readonly Row[] {
    const { entries, outbox, hasOlder, line } = this.#state;
    // What a thread is about stands above its first reply, as soon as that one is there.
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

  /** The newest event that is known to exist. */
  get known(): number {
    return this.#state.known;
  }

  protected get entries(): readonly Entry[] {
    return this.#state.entries;
  }

  get cursor(): number {
    return this.#state.cursor;
  }

  /** Whoever sees the last message has seen what happened up to here: what was deleted behind it is not unread. */
  get lastSeq(): number {
    return this.#state.loaded ? this.#state.cursor : 0;
  }

  /** How many events are known to exist beyond the cursor. */
  get missing(): number {
    return this.#state.known - this.#state.cursor;
  }

  /** The answers that are being written here. */
  get streaming(): readonly Message[] {
    return this.#state.entries.slice(-20).flatMap(({ message }) => (message.status === 'streaming' ? [message] : []));
  }

  find(id: string): Message | null {
    return this.#state.entries[findIndexById(this.#state.entries, id)]?.message ?? null;
  }

  /** Whether others say something with it: what one has asked an assistant for here is awaited, and no news. */
  isNews({ own, sender, replyTo }: Pick<MessageView, 'own' | 'sender' | 'replyTo'>): boolean {
    if (own) return false;
    if (sender.kind !== 'assistant' || replyTo === null) return true;
    const asked = this.find(replyTo)?.sender;
    return asked?.kind !== 'user' || asked.id !== this.host.me().id;
  }

  /** The number of the message at that place in the log, among the messages. */
  noOf(seq: number): number | undefined {
    const at = this.#state.entries[findIndexBySeq(this.#state.entries, seq)]?.message;
    return at?.seq === seq ? at.no : undefined;
  }

  isGone(id: string): boolean {
    return this.#state.deletedIds.has(id);
  }

  // ── history ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The reader comes in, having read up to `read` before. What is unread is loaded as far as one page holds it. */
  async open(read: number, last: number): Promise<void> {
    this.#limit = Math.min(MAX_AT_ONCE, Math.max(PAGE, last - read + READ_BEFORE_UNREAD));
    this.readBefore = read;
    // Marked as unread elsewhere, while this device was away: reading it again is news.
    this.readTo = Math.min(this.readTo, read);
    this.keepsUnread = false;
    this.#unreadFrom = null;
    if (this.#state.loaded) this.markUnread();
    else await this.load();
    // What happened last may be no message, and then no page tells of it.
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
      // Read anew meanwhile, it begins elsewhere: between that and this page there would be a hole.
      if (!this.find(oldest.id) && !this.isGone(oldest.id)) return;
      this.apply({ kind: 'page', part: 'older', items: page.items, hasMore: page.has_more, basis });
    } catch (error) {
      this.#olderError = error;
    } finally {
      this.#loadingOlder = false;
    }
  }

  /**
   * The line stands above the first message of somebody else that was not read; further up where that is not loaded. Where
   * the reader has put it there, above one of their own, too.
   */
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

  // ── what arrives ─────────────────────────────────────────────────────────────────────────────────────────────────

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
    if (kind === 'user' && id !== null) this.host.learn(this.id, { id, name });
  }

  applyFrame(frame: DurableFrame): void {
    this.#deltas.flush();
    this.apply({ kind: 'event', frame });
    // Another version of it was thought otherwise.
    if (frame.type === 'message.updated') this.thoughts.delete(frame.payload.message.id);
    if (frame.type === 'message.created') this.positions.applySender(frame.payload.message);
    if (this.isBehind) this.host.sync();
  }

  /** Something up to `seq` exists, as the server says in its hello. */
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
    // It stands behind the text that came before it.
    this.#deltas.flush();
    this.apply({ kind: 'tool_call', messageId, call });
  }

  applyThread(messageId: string, thread: ThreadSummary | null): void {
    this.apply({ kind: 'thread', messageId, thread });
  }

  /** The log has been trimmed, or is too far behind: what is shown is read anew. */
  startOver(): Promise<void> {
    this.apply({ kind: 'expired' });
    return this.load();
  }

  async #fetchAnswer(id: string): Promise<void> {
    const basis = this.#state.known;
    try {
      this.apply({ kind: 'fetched', message: await this.host.api.get(`/messages/${id}`), basis });
    } catch (error) {
      // Anything else is asked again.
      if (error instanceof ApiError && error.status === 404) this.apply({ kind: 'removed', id });
    }
  }

  /** One is about to say something here, which has not come to the log yet. */
  get hasUnsent(): boolean {
    return this.#state.outbox.length > 0;
  }

  /** Of what was read nothing stays; it is read anew when somebody comes in. */
  unload(): void {
    this.#deltas.clear();
    this.apply({ kind: 'expired' });
    this.#builder = new RowBuilder();
    this.thoughts.clear();
  }

  /** It is no longer shown. */
  close(): void {
    this.#watch.stop();
    this.#deltas.stop();
  }

  /** Reads what follows a message of which another version is shown. */
  async #readBranch(): Promise<void> {
    const { branch, known: basis } = this.#state;
    if (!branch) return;
    try {
      const page = await this.page({ after_seq: branch.after, limit: MAX_AT_ONCE });
      if (page.has_more) await this.startOver();
      else this.apply({ kind: 'branch', items: page.items, basis, branch });
    } catch {
      // What is shown is not all of it: the whole is read again, and a failure said.
      await this.startOver();
    }
  }

  // ── what is done ─────────────────────────────────────────────────────────────────────────────────────────────────

  send(
    content: string,
    replyTo: string | null = null,
    mentions: readonly Mention[] = [],
    files: readonly AttachedFile[] = [],
    placed: Placed = {}
  ): string {
    // Who answers has seen what was new, also where it is still being loaded.
    this.#unreadFrom = null;
    this.readBefore = Number.POSITIVE_INFINITY;
    return this.host.outbox.send(this.id, content, replyTo, mentions, files, placed);
  }

  /** Outbox with the messages that are not sent yet. */
  get outbox(): OutboxStore {
    return this.host.outbox;
  }

  /** The reader has marked something as unread: it stays so while they are here, however much of it they see. */
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
    this.host.tell('receipt', { conversation_id: this.id, seq, state: 'read' });
  }

  /** What was said without a connection was not heard. What was is not said again: it may have been marked as unread elsewhere since. */
  repeatRead(): void {
    if (this.readTo > this.positions.own)
      this.host.tell('receipt', { conversation_id: this.id, seq: this.readTo, state: 'read' });
  }
}
