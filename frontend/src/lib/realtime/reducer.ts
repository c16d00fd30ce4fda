/**
 * Reducer of the state of a conversation. History pages, events, syncs, deltas of streaming answers and the user's own messages pass through
 * `reduce`, so that any order of arrival leads to the same state. Events are numbered without gaps and are applied in order: those that arrive too
 * early wait in `early`, those that were applied before are ignored. HTTP responses have no version, so the caller states a `basis`: the last event
 * that the response certainly includes. A response never overwrites the change of a later event.
 */
import type { ToolCall, ToolCallStatus } from '#lib/api/tools.ts';
import type { DurableFrame, Mention, Message, ThreadSummary, UserChanged } from '#lib/api/types.ts';
import {
  applyFieldChange,
  countReply,
  react,
  reactAtOnce,
  replaceAt,
  applyThread,
  undoReacting,
  type ReactionChange
} from './message-patches.ts';
import type { AttachedFile } from './pending-attachments.ts';
import { renameUser } from './user-rename.ts';
import {
  EMPTY,
  findIndexById,
  findIndexBySeq,
  isIn,
  type Branch,
  type Delta,
  type Entry,
  type Failure,
  type LogState,
  type Outgoing
} from './state.ts';

export type LogInput =
  | { kind: 'requested' }
  | { kind: 'unavailable' }
  | { kind: 'page'; items: readonly Message[]; hasMore: boolean; basis: number; part: 'latest' | 'older' }
  | { kind: 'branch'; items: readonly Message[]; basis: number; branch: Branch }
  | { kind: 'fetched'; message: Message; basis: number }
  | { kind: 'removed'; id: string }
  | { kind: 'event'; frame: DurableFrame }
  | { kind: 'reacting' | 'not_reacting'; reacting: ReactionChange }
  | { kind: 'delta'; delta: Delta }
  | { kind: 'tool_call'; messageId: string; call: ToolCall }
  | { kind: 'thread'; messageId: string; thread: ThreadSummary | null }
  | { kind: 'renamed'; who: UserChanged }
  | { kind: 'heard'; seq: number }
  | { kind: 'expired' }
  | { kind: 'queued'; outgoing: Outgoing }
  | { kind: 'waiting'; client_id: string }
  | { kind: 'sending'; client_id: string }
  | { kind: 'acked'; client_id: string; seq: number }
  | { kind: 'refused'; client_id: string; failure: Failure }
  | { kind: 'files'; client_id: string; files: readonly AttachedFile[] }
  | { kind: 'reworded'; client_id: string; content: string; mentions: readonly Mention[] }
  | { kind: 'discarded'; client_id: string };

/** Maximum number of events that wait. Further ones are dropped and requested again with the missing ones. */
const MAX_EARLY_EVENTS = 2_000;

export function reduce(state: LogState, input: LogInput): LogState {
  switch (input.kind) {
    case 'requested':
      return { ...state, loading: true };
    case 'unavailable':
      return { ...state, loading: false };
    case 'page':
      return applyPage(state, input);
    case 'branch':
      return applyBranch(state, input);
    case 'fetched':
      return applyMessage(state, input.message, input.basis);
    case 'removed':
      return remove(state, input.id);
    case 'event':
      return applyDurableFrame(state, input.frame);
    case 'reacting':
      return reactAtOnce(state, input.reacting);
    case 'not_reacting':
      return undoReacting(state, input.reacting);
    case 'delta':
      return applyDelta(state, input.delta);
    case 'tool_call':
      return applyToolCall(state, input.messageId, input.call);
    case 'thread':
      return applyThread(state, input.messageId, input.thread);
    case 'renamed':
      return { ...state, entries: renameUser(state.entries, input.who) };
    case 'heard':
      return input.seq > state.known ? { ...state, known: input.seq } : state;
    case 'expired':
      return { ...EMPTY, line: state.line, known: state.known, outbox: state.outbox };
    case 'queued':
      return addOutgoing(state, input.outgoing);
    case 'waiting':
      return updateOutgoing(state, input.client_id, { state: 'waiting', failure: null });
    case 'sending':
      return updateOutgoing(state, input.client_id, { state: 'sending', failure: null });
    case 'acked':
      // The event about the message was applied before and won't come again: the message is loaded, in an older page, or deleted.
      return state.loaded && input.seq <= state.cursor
        ? removeOutgoing(state, input.client_id)
        : updateOutgoing(state, input.client_id, { state: 'sent', failure: null, seq: input.seq });
    case 'refused':
      return updateOutgoing(state, input.client_id, { state: 'failed', failure: input.failure });
    case 'files':
      return updateOutgoing(state, input.client_id, { files: input.files });
    case 'reworded':
      return updateOutgoing(state, input.client_id, { content: input.content, mentions: input.mentions });
    case 'discarded':
      return removeOutgoing(state, input.client_id);
  }
}

// ── History ──

function applyPage(state: LogState, page: Extract<LogInput, { kind: 'page' }>): LogState {
  if (page.part === 'older' && !state.loaded) return state;
  const newest = page.items.at(-1)?.seq ?? 0;
  const oldest = page.items[0]?.seq ?? 0;
  // A page includes all events up to that of its newest message.
  const basis = Math.max(page.basis, page.part === 'latest' ? newest : 0);
  const loadedFrom = state.entries[0]?.message.seq ?? Number.POSITIVE_INFINITY;

  const incoming = new Map<string, Entry>();
  for (const message of page.items) {
    if (state.deletedIds.has(message.id) || message.deleted_at) continue;
    const heard = state.unseen.get(message.id);
    const read = { message, version: Math.max(basis, message.seq), reason: null };
    incoming.set(message.id, heard && heard.version > basis ? heard : read);
  }

  const isFirst = !state.loaded;
  const entries = mergeEntries(state.entries, incoming, basis);
  const reachesBack = isFirst || page.items.length === 0 || oldest <= loadedFrom;
  let next: LogState = {
    ...state,
    entries,
    loaded: true,
    loading: false,
    hasOlder: reachesBack ? page.hasMore : state.hasOlder,
    cursor: isFirst ? Math.max(state.cursor, basis) : state.cursor,
    outbox: withoutSent(state.outbox, page.items)
  };
  next = { ...next, known: Math.max(next.known, next.cursor) };
  return catchUp(removeSettled(next));
}

function mergeEntries(entries: readonly Entry[], incoming: Map<string, Entry>, basis: number): readonly Entry[] {
  const merged = entries.map((entry) => {
    const other = incoming.get(entry.message.id);
    if (!other) return entry;
    incoming.delete(entry.message.id);
    return newerEntry(entry, other, basis);
  });
  if (incoming.size === 0) return merged;
  merged.push(...incoming.values());
  return merged.sort((a, b) => a.message.seq - b.message.seq);
}

function newerEntry(have: Entry, read: Entry, basis: number): Entry {
  if (have.version > basis) return have;
  const bothStream = have.message.status === 'streaming' && read.message.status === 'streaming';
  // The server stores the text of a streaming answer once a second, so the text from deltas is often longer than the stored one.
  if (bothStream && have.message.content.length > read.message.content.length) return have;
  const reason = read.message.status === 'failed' ? (read.reason ?? have.reason) : null;
  return { message: read.message, version: Math.max(have.version, read.version), reason };
}

/** Applies a message that was requested because a delta is missing. */
function applyMessage(state: LogState, message: Message, basis: number): LogState {
  const index = findIndexById(state.entries, message.id);
  const have = state.entries[index];
  if (!have) return state;
  const next = replaceAt(
    state,
    index,
    newerEntry(have, { message, version: Math.max(basis, message.seq), reason: null }, basis)
  );
  return applyPendingDeltas(next, message.id);
}

// ── Events ──

function applyDurableFrame(state: LogState, frame: DurableFrame): LogState {
  const { seq } = frame.payload;
  const next = seq > state.known ? { ...state, known: seq } : state;
  const isClosed = !next.loaded && !next.loading;
  if (isClosed || (next.loaded && seq <= next.cursor)) {
    return frame.type === 'message.created' ? removeOutgoing(next, frame.payload.message.client_id) : next;
  }
  if (next.loaded && seq === next.cursor + 1) return catchUp(applyEvent(next, frame));
  return bufferEvent(next, frame);
}

function bufferEvent(state: LogState, frame: DurableFrame): LogState {
  if (state.early.length >= MAX_EARLY_EVENTS) return state;
  const { seq } = frame.payload;
  const at = state.early.findIndex((other) => other.payload.seq >= seq);
  if (at === -1) return { ...state, early: [...state.early, frame] };
  if (state.early[at]?.payload.seq === seq) return state;
  return { ...state, early: state.early.toSpliced(at, 0, frame) };
}

/** Applies the waiting events that are next in order. */
function catchUp(state: LogState): LogState {
  let next = state;
  let taken = 0;
  for (const frame of state.early) {
    if (frame.payload.seq > next.cursor + 1) break;
    if (frame.payload.seq === next.cursor + 1) next = applyEvent(next, frame);
    taken++;
  }
  return taken === 0 ? next : { ...next, early: state.early.slice(taken) };
}

function applyEvent(state: LogState, frame: DurableFrame): LogState {
  const next = { ...state, cursor: frame.payload.seq };
  switch (frame.type) {
    case 'message.created': {
      const { message, seq } = frame.payload;
      const counted = countReply(next, message, seq);
      // A reply in a thread isn't shown in the conversation.
      return isIn(state.line, message) ? removeOutgoing(insert(counted, message, seq), message.client_id) : counted;
    }
    case 'message.updated': {
      const { message, seq, branch_changed } = frame.payload;
      const changed = replace(next, message, seq, null);
      return branch_changed ? closeBranch(changed, message.seq, seq) : changed;
    }
    case 'message.completed':
      return replace(next, frame.payload.message, frame.payload.seq, null);
    case 'message.failed':
      return replace(next, frame.payload.message, frame.payload.seq, frame.payload.reason);
    case 'message.deleted': {
      const { message_id, thread_id, thread, seq } = frame.payload;
      const counted =
        thread_id && thread ? applyFieldChange(next, { message_id: thread_id, seq }, () => ({ thread })) : next;
      return remove(counted, message_id);
    }
    case 'reaction.added':
    case 'reaction.removed':
      return react(next, frame);
    case 'poll.updated':
      return applyFieldChange(next, frame.payload, ({ poll }) =>
        poll ? { poll: { ...poll, results: frame.payload.results } } : null
      );
    case 'message.pinned':
      return applyFieldChange(next, frame.payload, () => ({ pinned_at: frame.payload.pinned_at }));
    case 'message.previews':
      return applyFieldChange(next, frame.payload, () => ({ previews: frame.payload.previews }));
    case 'message.unpinned':
      return applyFieldChange(next, frame.payload, () => ({ pinned_at: null }));
    case 'member.added':
    case 'member.updated':
    case 'member.removed':
    case 'conversation.updated':
    case 'conversation.archived':
    case 'conversation.unarchived':
    case 'conversation.deleted':
      // Other stores handle these events, so that only the cursor moves here. All types are listed, so that the compiler reports new ones.
      return next;
  }
}

/** Removes the messages after a message of which another version was selected, until those of that version are loaded. */
function closeBranch(state: LogState, after: number, at: number): LogState {
  const end = findIndexBySeq(state.entries, after + 1);
  const unseen = new Map([...state.unseen].filter(([, { message }]) => message.seq <= after));
  return { ...state, entries: state.entries.slice(0, end), unseen, gaps: new Map(), branch: { after, at } };
}

function applyBranch(state: LogState, page: Extract<LogInput, { kind: 'branch' }>): LogState {
  // The version has changed again, and another response will follow.
  if (!state.loaded || state.branch !== page.branch) return state;
  const incoming = new Map<string, Entry>();
  for (const message of page.items) {
    if (state.deletedIds.has(message.id) || message.deleted_at) continue;
    incoming.set(message.id, { message, version: Math.max(page.basis, message.seq), reason: null });
  }
  return { ...state, entries: mergeEntries(state.entries, incoming, page.basis), branch: null };
}

function insert(state: LogState, message: Message, version: number): LogState {
  if (state.deletedIds.has(message.id) || message.deleted_at) return state;
  const at = findIndexBySeq(state.entries, message.seq);
  if (state.entries[at]?.message.id === message.id) return replace(state, message, version, null);
  const entry: Entry = { message, version, reason: null };
  return {
    ...state,
    entries: at === state.entries.length ? [...state.entries, entry] : state.entries.toSpliced(at, 0, entry)
  };
}

function replace(state: LogState, message: Message, version: number, reason: string | null): LogState {
  if (message.deleted_at) return remove(state, message.id);
  if (state.deletedIds.has(message.id)) return state;
  const entry: Entry = { message, version, reason };
  const index = findIndexById(state.entries, message.id);
  const have = state.entries[index];
  // The message isn't part of this thread.
  if (!have && !isIn(state.line, message)) return state;
  if (!have) return { ...state, unseen: new Map(state.unseen).set(message.id, entry) };
  if (have.version >= version) return state;
  const gaps = new Map(state.gaps);
  gaps.delete(message.id);
  return replaceAt({ ...state, gaps }, index, entry);
}

function remove(state: LogState, id: string): LogState {
  const index = findIndexById(state.entries, id);
  const unseen = new Map(state.unseen);
  unseen.delete(id);
  const gaps = new Map(state.gaps);
  gaps.delete(id);
  return {
    ...state,
    entries: index === -1 ? state.entries : state.entries.toSpliced(index, 1),
    deletedIds: new Set(state.deletedIds).add(id),
    unseen,
    gaps
  };
}

// ── Streaming ──

function applyDelta(state: LogState, delta: Delta): LogState {
  const index = findIndexById(state.entries, delta.message_id);
  const have = state.entries[index];
  if (!have || have.message.status !== 'streaming') return state;
  const { content } = have.message;
  if (delta.offset > content.length) {
    const held = state.gaps.get(delta.message_id) ?? [];
    return { ...state, gaps: new Map(state.gaps).set(delta.message_id, [...held, delta]) };
  }
  if (content.startsWith(delta.text, delta.offset)) return state;
  const message = { ...have.message, content: content.slice(0, delta.offset) + delta.text };
  return applyPendingDeltas(replaceAt(state, index, { ...have, message }), delta.message_id);
}

/** Applies the state of a tool call. The finished answer will contain all calls again. */
function applyToolCall(state: LogState, messageId: string, call: ToolCall): LogState {
  const index = findIndexById(state.entries, messageId);
  const have = state.entries[index];
  if (!have || have.message.status !== 'streaming') return state;
  const calls = have.message.tool_calls ?? [];
  const at = calls.findIndex(({ id }) => id === call.id);
  // The response to the user's decision and the event about it may arrive in any order, so an earlier state is ignored.
  if ((STAGE[calls[at]?.status ?? 'waiting'] ?? 0) > (STAGE[call.status] ?? 3)) return state;
  const tool_calls = at === -1 ? [...calls, call] : calls.with(at, call);
  return replaceAt(state, index, { ...have, message: { ...have.message, tool_calls } });
}

/** Order of the states of a tool call, which only move forward. A state that only a newer server knows is applied as well. */
const STAGE: Partial<Record<ToolCallStatus, number>> = {
  waiting: 0,
  queued: 1,
  running: 2,
  done: 3,
  failed: 3,
  unconnected: 3,
  refused: 3,
  expired: 3,
  interrupted: 3,
  stopped: 3
};

/** Applies the deltas that were held back, as far as the text now reaches them. If none is missing any more, the gap is removed. */
function applyPendingDeltas(state: LogState, id: string): LogState {
  const held = state.gaps.get(id);
  if (!held) return state;
  const gaps = new Map(state.gaps);
  gaps.delete(id);
  let next: LogState = { ...state, gaps };
  for (const delta of held.toSorted((a, b) => a.offset - b.offset)) next = applyDelta(next, delta);
  return next;
}

// ── Own sends ──

function addOutgoing(state: LogState, outgoing: Outgoing): LogState {
  const isKnown =
    state.outbox.some((other) => other.client_id === outgoing.client_id) ||
    state.entries.some((entry) => entry.message.client_id === outgoing.client_id);
  return isKnown ? state : { ...state, outbox: [...state.outbox, outgoing] };
}

function updateOutgoing(state: LogState, clientId: string, change: Partial<Outgoing>): LogState {
  const index = state.outbox.findIndex((outgoing) => outgoing.client_id === clientId);
  const have = state.outbox[index];
  return have ? { ...state, outbox: state.outbox.with(index, { ...have, ...change }) } : state;
}

function removeOutgoing(state: LogState, clientId: string | null): LogState {
  if (!state.outbox.some((outgoing) => outgoing.client_id === clientId)) return state;
  return { ...state, outbox: state.outbox.filter((outgoing) => outgoing.client_id !== clientId) };
}

function withoutSent(outbox: readonly Outgoing[], messages: readonly Message[]): readonly Outgoing[] {
  if (outbox.length === 0) return outbox;
  const sent = new Set(messages.map((message) => message.client_id));
  return outbox.filter((outgoing) => !sent.has(outgoing.client_id));
}

function removeSettled(state: LogState): LogState {
  const outbox = state.outbox.filter((outgoing) => outgoing.seq === null || outgoing.seq > state.cursor);
  return outbox.length === state.outbox.length ? state : { ...state, outbox };
}
