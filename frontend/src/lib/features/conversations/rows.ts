/**
 * Builds the rows of the message list with day separators, unread marker and groups. Unchanged rows keep their identity, so that a delta updates only
 * one row.
 */
import type { AnswerFacts } from '#lib/api/assistants.ts';
import type { ToolCall } from '#lib/api/tools.ts';
import type { Upload } from '#lib/api/files.ts';
import type {
  Forwarded,
  Mention,
  MessageStatus,
  Preview,
  Poll,
  Reaction,
  Sender,
  ThreadSummary,
  Versions
} from '#lib/api/types.ts';
import type { AttachedFile } from '#lib/realtime/pending-attachments.ts';
import type { Entry, Failure, Outgoing, OutgoingState } from '#lib/realtime/state.ts';

/** Message as it is displayed, sent or not. */
export interface MessageView {
  /** Key of the row. It stays the same when the message is sent, so that the row isn't created again. */
  readonly key: string;
  readonly id: string | null;
  readonly seq: number | null;
  readonly clientId: string | null;
  readonly sender: Sender;
  readonly own: boolean;
  readonly content: string;
  readonly status: MessageStatus;
  /** State of a message that is being sent; null once it is in the log. */
  readonly sending: OutgoingState | null;
  /** Reason why sending or answering has failed; null otherwise. */
  readonly failure: Failure | null;
  readonly replyTo: string | null;
  /** Mentions that the sender has stated. */
  readonly mentions: readonly Mention[];
  readonly attachments: readonly Upload[];
  /** Previews of the links in the text. */
  readonly previews: readonly Preview[];
  readonly reactions: readonly Reaction[];
  /** Id of the first message of the thread that this message belongs to; null if it isn't a reply in a thread. */
  readonly threadId: string | null;
  /** Whether a reply in a thread is also shown in the conversation. */
  readonly alsoTold: boolean;
  /** Summary of the thread that starts with this message; null if there is none. */
  readonly thread: ThreadSummary | null;
  readonly forwarded: Forwarded | null;
  readonly poll: Poll | null;
  readonly isPinned: boolean;
  /** Attachments that are being uploaded. */
  readonly files: readonly AttachedFile[];
  readonly isEdited: boolean;
  /** Whether a moderator has hidden the message. */
  readonly isHidden: boolean;
  readonly versions: Versions | null;
  readonly model: string | null;
  readonly answer: AnswerFacts | null;
  readonly toolCalls: readonly ToolCall[];
  readonly createdAt: string;
  readonly time: number;
}

/** Whether the message has attachments or was hidden. */
export function hasAttachmentsOrIsHidden({ attachments, files, isHidden }: MessageView): boolean {
  return isHidden || attachments.length > 0 || files.length > 0;
}

/** Whether the message has anything besides a person's plain text. */
export function hasMore(view: MessageView): boolean {
  const { sender, previews, reactions, thread, forwarded, poll, isPinned } = view;
  const isMore = thread !== null || forwarded !== null || poll !== null || isPinned || sender.kind !== 'user';
  return isMore || hasAttachmentsOrIsHidden(view) || previews.length > 0 || reactions.length > 0;
}

export interface Row {
  readonly key: string;
  readonly view: MessageView;
  /** Whether this is the first message of a day. */
  readonly opensDay: boolean;
  readonly opensUnread: boolean;
  /** Whether this is the first message of a group, which is shown with avatar, name and time. */
  readonly isHead: boolean;
  readonly isTail: boolean;
  /** Whether the message that it replies to is quoted. Omitted if that is the one directly above. */
  readonly showsQuote: boolean;
}

export interface Reader {
  readonly me: Sender;
  /** Sequence number of the first message that was unread when the conversation was opened; null if there was none. */
  readonly unreadFrom: number | null;
}

/** Longest time in milliseconds between two messages of a group, and of a whole group. A group has messages of one sender. */
const JOIN_WITHIN = 60_000;
const GROUP_WITHIN = 5 * 60_000;

const NOBODY: readonly Mention[] = [];
const NO_CALLS: readonly ToolCall[] = [];
const NOTHING: readonly never[] = [];

export class RowBuilder {
  #entries: readonly Entry[] = [];
  #outbox: readonly Outgoing[] = [];
  #reader: Reader | null = null;
  #rows: readonly Row[] = [];
  #views = new WeakMap<Entry | Outgoing, MessageView>();

  build(entries: readonly Entry[], outbox: readonly Outgoing[], reader: Reader): readonly Row[] {
    if (this.#reader?.me !== reader.me) this.#views = new WeakMap();
    const isSameReader = this.#reader?.me === reader.me && this.#reader.unreadFrom === reader.unreadFrom;
    if (isSameReader && entries === this.#entries && outbox === this.#outbox) return this.#rows;
    const head = isSameReader ? commonPrefix(this.#entries, entries) : 0;
    const tail = isSameReader ? commonSuffix(this.#entries, entries, head) : 0;
    const before = this.#rows;
    const shift = entries.length - this.#entries.length;
    const count = entries.length + outbox.length;
    const viewAt = (at: number) =>
      this.#viewOf(at < entries.length ? entries[at] : outbox[at - entries.length], reader);

    // A change may also affect the row before it, which may have become the last of its group.
    let rows = before.slice(0, Math.max(0, head - 1));
    let start = rows.findLast((row) => row.isHead)?.view;
    let view = viewAt(rows.length);
    while (view) {
      const at = rows.length;
      const next = at + 1 < count ? viewAt(at + 1) : undefined;
      const made = toRow(rows[at - 1]?.view, view, next, start, reader);
      const row = reuseRow(before[at], made) ?? reuseRow(before[at - shift], made) ?? made;
      if (row.isHead) start = view;
      // From the start of an unchanged group on, the old rows are used again.
      if (row.isHead && at > entries.length - tail && at < entries.length - 1 && row === before[at - shift]) {
        rows = rows.concat(before.slice(at - shift, this.#entries.length - 1));
        start = rows.findLast((one) => one.isHead)?.view;
        view = viewAt(rows.length);
        continue;
      }
      rows.push(row);
      view = next;
    }
    this.#entries = entries;
    this.#outbox = outbox;
    this.#reader = reader;
    this.#rows = rows;
    return rows;
  }

  #viewOf(from: Entry | Outgoing | undefined, reader: Reader): MessageView | undefined {
    if (!from) return undefined;
    let view = this.#views.get(from);
    if (!view) {
      view = 'message' in from ? toView(from, reader) : toOutgoingView(from, reader);
      this.#views.set(from, view);
    }
    return view;
  }
}

function toView(entry: Entry, reader: Reader): MessageView {
  const { message } = entry;
  const own = message.sender.kind === 'user' && message.sender.id === reader.me.id;
  const reason = message.status === 'failed' ? (entry.reason ?? message.reason ?? '') : null;
  return {
    key: own && message.client_id ? message.client_id : message.id,
    id: message.id,
    seq: message.seq,
    clientId: message.client_id,
    sender: message.sender,
    own,
    content: message.content,
    status: message.status,
    sending: null,
    failure: reason === null ? null : { code: 'answer_failed', message: reason },
    replyTo: message.reply_to,
    mentions: message.mentions ?? NOBODY,
    attachments: message.attachments,
    previews: message.previews ?? NOTHING,
    reactions: message.reactions,
    poll: message.poll ?? null,
    threadId: message.thread_id ?? null,
    alsoTold: message.also_to_conversation ?? false,
    thread: message.thread ?? null,
    forwarded: message.forwarded ?? null,
    isPinned: !!message.pinned_at,
    files: NOTHING,
    isEdited: message.edited_at !== null,
    isHidden: !!message.hidden_at,
    versions: message.versions ?? null,
    model: message.model ?? null,
    answer: message.answer ?? null,
    toolCalls: message.tool_calls ?? NO_CALLS,
    createdAt: message.created_at,
    time: Date.parse(message.created_at)
  };
}

function toOutgoingView(outgoing: Outgoing, reader: Reader): MessageView {
  return {
    key: outgoing.client_id,
    id: null,
    seq: outgoing.seq,
    clientId: outgoing.client_id,
    sender: reader.me,
    own: true,
    content: outgoing.content,
    status: 'complete',
    sending: outgoing.state,
    failure: outgoing.failure,
    replyTo: outgoing.reply_to,
    mentions: outgoing.mentions ?? NOBODY,
    attachments: NOTHING,
    previews: NOTHING,
    reactions: NOTHING,
    poll: null,
    threadId: outgoing.thread_id ?? null,
    alsoTold: outgoing.also_to_conversation ?? false,
    thread: null,
    forwarded: null,
    isPinned: false,
    files: outgoing.files ?? NOTHING,
    isEdited: false,
    isHidden: false,
    versions: null,
    model: null,
    answer: null,
    toolCalls: NO_CALLS,
    createdAt: outgoing.created_at,
    time: Date.parse(outgoing.created_at)
  };
}

function toRow(
  previous: MessageView | undefined,
  view: MessageView,
  next: MessageView | undefined,
  start: MessageView | undefined,
  reader: Reader
): Row {
  const isHead = startsGroup(previous, view, start, reader);
  return {
    key: view.key,
    view,
    opensDay: startsDay(previous, view),
    opensUnread: startsUnread(previous, view, reader),
    isHead,
    isTail: next === undefined || startsGroup(view, next, isHead ? view : start, reader),
    showsQuote: view.replyTo !== null && (view.sender.kind !== 'assistant' || view.replyTo !== previous?.id)
  };
}

function startsGroup(
  previous: MessageView | undefined,
  view: MessageView,
  start: MessageView | undefined,
  reader: Reader
) {
  return (
    previous === undefined ||
    previous.sender.id !== view.sender.id ||
    previous.sender.kind !== view.sender.kind ||
    view.sender.kind !== 'user' ||
    view.replyTo !== null ||
    // The first reply after the first message of a thread starts a new group.
    previous.threadId !== view.threadId ||
    // The link to a thread separates its message from the next one, which would look like a reply.
    !!previous.thread?.reply_count ||
    view.time - previous.time > JOIN_WITHIN ||
    view.time - (start?.time ?? view.time) > GROUP_WITHIN ||
    startsDay(previous, view) ||
    startsUnread(previous, view, reader)
  );
}

function startsDay(previous: MessageView | undefined, view: MessageView): boolean {
  if (previous === undefined) return true;
  // Equal times are on the same day, so the calendar isn't needed for them.
  return previous.time !== view.time && dayOf(previous.time) !== dayOf(view.time);
}

function startsUnread(previous: MessageView | undefined, view: MessageView, reader: Reader): boolean {
  if (reader.unreadFrom === null || view.seq === null || view.seq < reader.unreadFrom) return false;
  return previous?.seq == null || previous.seq < reader.unreadFrom;
}

/** Number that differs between days in local time. */
function dayOf(time: number): number {
  const date = new Date(time);
  return date.getFullYear() * 1_000 + date.getMonth() * 50 + date.getDate();
}

function reuseRow(old: Row | undefined, row: Row): Row | undefined {
  return old !== undefined &&
    old.view === row.view &&
    old.opensDay === row.opensDay &&
    old.opensUnread === row.opensUnread &&
    old.isHead === row.isHead &&
    old.isTail === row.isTail &&
    old.showsQuote === row.showsQuote
    ? old
    : undefined;
}

function commonPrefix(a: readonly Entry[], b: readonly Entry[]): number {
  const most = Math.min(a.length, b.length);
  let at = 0;
  while (at < most && a[at] === b[at]) at++;
  return at;
}

function commonSuffix(a: readonly Entry[], b: readonly Entry[], head: number): number {
  const most = Math.min(a.length, b.length) - head;
  let count = 0;
  while (count < most && a[a.length - 1 - count] === b[b.length - 1 - count]) count++;
  return count;
}
