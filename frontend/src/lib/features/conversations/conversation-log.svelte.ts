/** One conversation as the page sees it: what is known of it, and what can be done with its messages. */
import { SvelteMap } from 'svelte/reactivity';
import type { AnswerDetails } from '#lib/api/assistants.ts';
import { ApiError, type Api } from '#lib/api/client.ts';
import type { ToolAllowance, ToolCall, ToolDecision } from '#lib/api/tools.ts';
import type {
  Cursor,
  DurableFrame,
  Member,
  Mention,
  Message,
  ReceiptPayload,
  Sender,
  ThreadSummary
} from '#lib/api/types.ts';
import type { Taken } from '#lib/realtime/pending-attachments.ts';
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
import { grown, type Thoughts } from './logic/thoughts.ts';
import { Watch } from '#lib/realtime/stall-watch.ts';
import type { Person } from '#lib/features/people/people.svelte.ts';
import type { Outbox } from './stores/outbox.svelte.ts';

export interface Position {
  readonly delivered: number;
  readonly read: number;
}

/** What a log needs from the store that holds it. */
export interface LogHost {
  readonly api: Api;
  readonly outbox: Outbox;
  readonly me: () => Sender;
  /** Somebody wrote here. */
  readonly learn: (conversationId: string, person: Person) => void;
  readonly tell: (type: string, payload: unknown) => void;
  readonly sync: () => void;
}

/** As `app.html` asks for it; one page holds what is unread, unless that is much. */
const PAGE = 80;
const OLDER_PAGE = 100;
const MOST_AT_ONCE = 200;
/** So much of what was read already stands above the unread line. */
const READ_BEFORE_UNREAD = 20;
/** A hole in an answer's text heals when the server has stored the text; it does so once a second. */
const MEND_AFTER = 300;
/** Where it can't be asked for, as without a network, that is tried ever more seldom. */
const MEND_AT_LATEST = 15_000;

export class ConversationLog {
  #state = $state.raw<LogState>(EMPTY);
  #error = $state.raw<unknown>(null);
  #loadingOlder = $state(false);
  #olderError = $state.raw<unknown>(null);
  #unreadFrom = $state<number | null>(null);
  readonly positions = new SvelteMap<string, Position>();
  /** What models think before they write, by the message that it becomes. */
  readonly thoughts = new SvelteMap<string, Thoughts>();

  #builder = new RowBuilder();
  readonly #watch = new Watch(
    () => this.streaming.map(({ id, content }) => ({ id, length: content.length })),
    (id) => this.#fetchAnswer(id)
  );
  #latest: Promise<void> | null = null;
  #deltas: Delta[] = [];
  #flush: (() => void) | null = null;
  #isMending = false;
  #mendAfter = MEND_AFTER;
  protected readTo = 0;
  /** How far the server has told that the reader has read. */
  #heardTo = 0;
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
  get end(): number {
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
    this.#limit = Math.min(MOST_AT_ONCE, Math.max(PAGE, last - read + READ_BEFORE_UNREAD));
    this.readBefore = read;
    // Marked as unread elsewhere, while this device was away: reading it again is news.
    this.readTo = Math.min(this.readTo, read);
    this.keepsUnread = false;
    this.#unreadFrom = null;
    if (this.#state.loaded) this.markUnread();
    else await this.load();
    // What happened last may be no message, and then no page tells of it.
    this.hearOf(last);
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
    if (input.kind === 'page') for (const { sender } of input.items) this.#learn(sender);
    if (input.kind === 'event' && input.frame.type === 'message.created')
      this.#learn(input.frame.payload.message.sender);
    this.#become(reduce(this.#state, input));
  }

  #become(state: LogState): void {
    const hasBranched = state.branch !== null && state.branch !== this.#state.branch;
    this.#state = state;
    if (hasBranched) void this.#readBranch();
    this.#watch.look();
    if (state.gaps.size > 0) this.#mend();
  }

  #learn({ kind, id, name }: Sender): void {
    if (kind === 'user' && id !== null) this.host.learn(this.id, { id, name });
  }

  hear(frame: DurableFrame): void {
    this.#takeDeltas();
    this.apply({ kind: 'event', frame });
    // Another version of it was thought otherwise.
    if (frame.type === 'message.updated') this.thoughts.delete(frame.payload.message.id);
    if (frame.type === 'message.created') this.#placeWriter(frame.payload.message);
    if (this.isBehind) this.host.sync();
  }

  /** Something up to `seq` exists, as the server says in its hello. */
  hearOf(seq: number): void {
    this.apply({ kind: 'heard', seq });
  }

  hearDelta(delta: Delta): void {
    this.#deltas.push(delta);
    if (this.#flush) return;
    // Several pieces of an answer are one change of the page; a page out of sight draws no frames.
    const take = () => this.#takeDeltas();
    if (typeof requestAnimationFrame === 'undefined' || document.visibilityState === 'hidden') {
      const timer = setTimeout(take, 100);
      this.#flush = () => clearTimeout(timer);
    } else {
      const frame = requestAnimationFrame(take);
      this.#flush = () => cancelAnimationFrame(frame);
    }
  }

  hearThought(piece: Delta): void {
    this.thoughts.set(piece.message_id, grown(this.thoughts.get(piece.message_id), piece));
  }

  hearToolCall(messageId: string, call: ToolCall): void {
    // It stands behind the text that came before it.
    this.#takeDeltas();
    this.apply({ kind: 'tool_call', messageId, call });
  }

  hearThread(messageId: string, thread: ThreadSummary | null): void {
    this.apply({ kind: 'thread', messageId, thread });
  }

  hearPosition({ user_id, delivered_seq, read_seq }: ReceiptPayload): void {
    this.#place(user_id, { delivered: delivered_seq, read: read_seq });
  }

  hearReaders(items: readonly { user_id: string; read_seq: number }[]): void {
    for (const { user_id, read_seq } of items) this.#place(user_id, { delivered: read_seq, read: read_seq });
  }

  hearMembers(members: readonly Member[]): void {
    for (const { user_id, delivered_seq = 0, read_seq = 0 } of members) {
      if (user_id) this.#place(user_id, { delivered: delivered_seq, read: read_seq });
    }
  }

  /** The log has been trimmed, or is too far behind: what is shown is read anew. */
  startOver(): Promise<void> {
    this.apply({ kind: 'expired' });
    return this.load();
  }

  /** Whoever writes in the main line has read what is before it. */
  #placeWriter({ sender, seq, thread_id, also_to_conversation }: Message): void {
    if (sender.kind !== 'user' || sender.id === null || (thread_id && !also_to_conversation)) return;
    this.#place(sender.id, { delivered: seq, read: seq });
  }

  #place(userId: string, { delivered, read }: Position): void {
    if (userId === this.host.me().id) this.#heardTo = Math.max(this.#heardTo, read);
    const have = this.positions.get(userId);
    if (have && have.delivered >= delivered && have.read >= read) return;
    this.positions.set(userId, {
      delivered: Math.max(delivered, read, have?.delivered ?? 0),
      read: Math.max(read, have?.read ?? 0)
    });
  }

  #takeDeltas(): void {
    this.#flush?.();
    this.#flush = null;
    if (this.#deltas.length === 0) return;
    const deltas = this.#deltas;
    this.#deltas = [];
    this.#become(deltas.reduce((state, delta) => reduce(state, { kind: 'delta', delta }), this.#state));
  }

  #mend(): void {
    if (this.#isMending) return;
    this.#isMending = true;
    setTimeout(() => {
      void this.#fetchTorn().finally(() => {
        this.#isMending = false;
        const isTorn = this.#state.gaps.size > 0;
        this.#mendAfter = isTorn ? Math.min(MEND_AT_LATEST, this.#mendAfter * 2) : MEND_AFTER;
        if (isTorn) this.#mend();
      });
    }, this.#mendAfter);
  }

  async #fetchTorn(): Promise<void> {
    for (const id of this.#state.gaps.keys()) await this.#fetchAnswer(id);
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
    this.#flush?.();
    this.#flush = null;
    this.#deltas = [];
    this.apply({ kind: 'expired' });
    this.#builder = new RowBuilder();
    this.thoughts.clear();
  }

  /** It is no longer shown. */
  close(): void {
    this.#watch.stop();
    this.#flush?.();
  }

  /** Reads what follows a message of which another version is shown. */
  async #readBranch(): Promise<void> {
    const { branch, known: basis } = this.#state;
    if (!branch) return;
    try {
      const page = await this.page({ after_seq: branch.after, limit: MOST_AT_ONCE });
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
    files: readonly Taken[] = [],
    placed: Placed = {}
  ): string {
    // Who answers has seen what was new, also where it is still being loaded.
    this.#unreadFrom = null;
    this.readBefore = Number.POSITIVE_INFINITY;
    return this.host.outbox.send(this.id, content, replyTo, mentions, files, placed);
  }

  retry(clientId: string): void {
    this.host.outbox.retry(clientId);
  }

  sendWithout(clientId: string): void {
    void this.host.outbox.sendWithout(clientId);
  }

  reword(clientId: string, content: string, mentions: readonly Mention[]): void {
    this.host.outbox.reword(clientId, content, mentions);
  }

  discard(clientId: string): void {
    this.host.outbox.discard(clientId);
  }

  /** Another text, and whom it mentions from now on. What mentions many anew has to be confirmed. */
  edit(id: string, content: string, mentions: readonly Mention[], confirm = false): Promise<void> {
    const body = { content, mentions, ...(confirm && { confirm }) };
    return this.change(() => this.host.api.patch(`/messages/${id}`, body));
  }

  /** Another text for a prompt, which is answered again; the old one stays as a version. */
  askAgain(id: string, content: string): Promise<void> {
    return this.change(() => this.host.api.post(`/messages/${id}/versions`, { content }));
  }

  showVersion(id: string, index: number): Promise<void> {
    return this.change(() => this.host.api.put(`/messages/${id}/version`, { index }));
  }

  async remove(id: string): Promise<void> {
    await this.host.api.delete(`/messages/${id}`);
    this.apply({ kind: 'removed', id });
  }

  /** For everybody; the event says so. */
  async removePreviews(id: string): Promise<void> {
    await this.host.api.delete(`/messages/${id}/previews`);
  }

  async stop(id: string): Promise<void> {
    await this.host.api.post(`/messages/${id}/stop`);
  }

  /** Whether a tool that an answer wants to call may run. */
  async decide(messageId: string, callId: string, decision: ToolDecision, more: ToolAllowance = {}): Promise<void> {
    const body = { decision, ...more };
    const call = await this.host.api.post(`/messages/${messageId}/tool_calls/${callId}`, body);
    this.apply({ kind: 'tool_call', messageId, call });
  }

  /** A call with all of its arguments, and what its tool takes. */
  toolCall(messageId: string, callId: string): Promise<ToolCall> {
    return this.host.api.get(`/messages/${messageId}/tool_calls/${callId}`);
  }

  /** Has a prompt answered again; by another model, where one is named. */
  async regenerate(id: string, model?: string): Promise<void> {
    await this.host.api.post(`/messages/${id}/regenerate`, model === undefined ? undefined : { model });
  }

  /** Has another model answer beside an answer; what comes back stands in no conversation. */
  compare(id: string, model: string): Promise<Message> {
    return this.host.api.post(`/messages/${id}/compare`, { model });
  }

  /** What an answer took, and what its model thought. */
  details(id: string): Promise<AnswerDetails> {
    return this.host.api.get(`/messages/${id}/details`);
  }

  /** The reader has marked something as unread: it stays so while they are here, however much of it they see. */
  hearUnread(read: number): void {
    this.keepsUnread = true;
    this.readTo = read;
    this.readBefore = read;
    this.#heardTo = read;
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
    if (this.readTo > this.#heardTo)
      this.host.tell('receipt', { conversation_id: this.id, seq: this.readTo, state: 'read' });
  }

  /** A message that is quoted but not loaded; `null` where there is none any more. */
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

  protected async change(ask: () => Promise<Message>): Promise<void> {
    const basis = this.#state.known;
    this.apply({ kind: 'fetched', message: await ask(), basis });
  }
}
