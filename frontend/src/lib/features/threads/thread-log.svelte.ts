/** Log of a thread: its first message, the replies, and its state for the user. */
import type { ThreadOwn } from './api.ts';
import type { Cursor, DurableFrame, Mention, Message, ThreadSummary } from '#lib/api/types.ts';
import type { AttachedFile } from '#lib/realtime/pending-attachments.ts';
import type { Placed } from '#lib/realtime/state.ts';
import { ConversationLog, type LogHost } from '#lib/features/conversations/conversation-log.svelte.ts';
import { MessageRequests } from '#lib/features/conversations/message-requests.ts';

export class ThreadLog extends ConversationLog {
  /** State of the thread for the user; null until loaded. */
  own = $state.raw<ThreadOwn | null>(null);
  /** Number of changes of `own`. A page contains an outdated state if there was a change after its request. */
  #ownChanges = 0;

  constructor(
    id: string,
    host: LogHost,
    readonly rootId: string
  ) {
    super(id, host, rootId);
  }

  /** Number of replies, and whether the thread is solved; null if the first message isn't loaded. */
  get summary(): ThreadSummary | null {
    return this.find(this.rootId)?.thread ?? null;
  }

  /** Opens the thread. `last` is the sequence number of the newest event of the conversation. */
  async openThread(last: number): Promise<void> {
    this.noteLatestSeq(last);
    if (this.isLoaded) this.markUnread();
    else await this.load();
  }

  override applyFrame(frame: DurableFrame): void {
    super.applyFrame(frame);
    if (frame.type !== 'message.created' || frame.payload.message.thread_id !== this.rootId) return;
    const { sender, no } = frame.payload.message;
    // Who replies follows the thread and has read it.
    if (this.own && sender.id === this.host.me().id) this.applyOwnState({ following: true, read_no: no, unread: 0 });
  }

  applyOwnState({ following, read_no, unread }: ThreadOwn): void {
    this.#ownChanges += 1;
    this.own = { following, read_no, unread };
  }

  override send(
    content: string,
    replyTo: string | null = null,
    mentions: readonly Mention[] = [],
    files: readonly AttachedFile[] = [],
    placed: Placed = {}
  ): string {
    return super.send(content, replyTo, mentions, files, { ...placed, thread_id: this.rootId });
  }

  async follow(isFollowed: boolean): Promise<void> {
    const { api } = this.host;
    const path = `/messages/${this.rootId}/follow` as const;
    this.applyOwnState(await (isFollowed ? api.put(path) : api.delete(path)));
  }

  solve(isSolved: boolean): Promise<void> {
    const { api } = this.host;
    const path = `/messages/${this.rootId}/solved` as const;
    return new MessageRequests(api, this).change(() => (isSolved ? api.put(path) : api.delete(path)));
  }

  /** Marks the replies up to `seq` as read. In contrast to conversations, other members don't see this. */
  override markRead(seq: number): void {
    // If the end is reached, deleted replies at the end are read too, so the number of the last reply is used.
    const no =
      seq >= this.lastSeq
        ? (this.summary?.last_no ?? 0)
        : seq === this.find(this.rootId)?.seq
          ? 0
          : (this.noOf(seq) ?? 0);
    if (!this.own?.following || no <= this.readTo) return;
    const before = this.readTo;
    this.readTo = no;
    this.host.api.post(`/messages/${this.rootId}/thread/read`, { no }).then(
      (own) => this.applyOwnState(own),
      () => (this.readTo = before)
    );
  }

  /** Does nothing, because the read position is sent by a request whose success is known. */
  override repeatRead(): void {}

  /** Sets the unread marker. The read position of a thread is the number of a reply, so it is converted to a sequence number. */
  protected override markUnread(): void {
    const { following = false, read_no = 0 } = this.own ?? {};
    this.readTo = read_no;
    const read = this.entries.findLast(({ message: { id, no } }) => id === this.rootId || no <= read_no);
    this.readBefore = following && read ? read.message.seq : Number.POSITIVE_INFINITY;
    super.markUnread();
  }

  protected override async page(query: Record<string, number>): Promise<Cursor<Message>> {
    const path = `/messages/${this.rootId}/thread` as const;
    const tellings = this.#ownChanges;
    const { root, items, has_more, own } = await this.host.api.get(path, query);
    if (tellings === this.#ownChanges) this.applyOwnState(own);
    return { items: [root, ...items], has_more };
  }

  protected override olderPageQuery({ no }: Message): Record<string, number> {
    return { before_no: no };
  }
}
