/** Partial changes of a message: reactions, pins, counts of replies. */
import type { DurableFrame, Message, ThreadSummary } from '#lib/api/types.ts';
import { findIndexById, type Entry, type LogState } from './state.ts';

/** Reaction added or removed by a person. */
export interface ReactionChange {
  readonly message_id: string;
  readonly emoji: string;
  readonly user_id: string;
  readonly isAdded: boolean;
}

/** Messages that aren't loaded yet arrive with their reactions. */
export function react(
  state: LogState,
  { type, payload: { message_id, emoji, user_id, seq } }: Extract<DurableFrame, { type: `reaction.${string}` }>
): LogState {
  const reacting = { message_id, emoji, user_id, isAdded: type === 'reaction.added' };
  const isShown = state.reacting.get(keyOf(reacting)) === reacting.isAdded;
  const next = isShown ? { ...state, reacting: without(state.reacting, keyOf(reacting)) } : state;
  return amend(next, { message_id, seq }, ({ reactions }) => changedBy(reactions, reacting, isShown));
}

/** Shows the reader's reaction at once; the later event is counted once. */
export function reactAtOnce(state: LogState, reacting: ReactionChange): LogState {
  const next = showReacting(state, reacting);
  if (next === state) return state;
  return { ...next, reacting: new Map(state.reacting).set(keyOf(reacting), reacting.isAdded) };
}

/** Reverts a rejected reaction, unless an event has changed that state since. */
export function undoReacting(state: LogState, reacting: ReactionChange): LogState {
  if (state.reacting.get(keyOf(reacting)) !== reacting.isAdded) return state;
  const next = showReacting(state, { ...reacting, isAdded: !reacting.isAdded });
  return { ...next, reacting: without(state.reacting, keyOf(reacting)) };
}

function showReacting(state: LogState, reacting: ReactionChange): LogState {
  const index = findIndexById(state.entries, reacting.message_id);
  const have = state.entries[index];
  const change = have && changedBy(have.message.reactions, reacting, false);
  return have && change ? replaceAt(state, index, { ...have, message: { ...have.message, ...change } }) : state;
}

const keyOf = ({ message_id, emoji, user_id }: ReactionChange) => `${message_id} ${emoji} ${user_id}`;

function without(known: ReadonlyMap<string, boolean>, key: string): ReadonlyMap<string, boolean> {
  const rest = new Map(known);
  rest.delete(key);
  return rest;
}

/** Null without a change. */
function changedBy(
  reactions: Message['reactions'],
  { emoji, user_id, isAdded }: ReactionChange,
  isShown: boolean
): Pick<Message, 'reactions'> | null {
  const at = reactions.findIndex((one) => one.emoji === emoji);
  const { count, user_ids } = reactions[at] ?? { count: 0, user_ids: [] };
  const others = user_ids.filter((id) => id !== user_id);
  // A page may contain the change already. If more people reacted than are listed, the removed one is unknown.
  const isThere = others.length < user_ids.length;
  if (isThere === isAdded && (isAdded || isShown || count === user_ids.length)) return null;
  const change = { emoji, count: count + (isAdded ? 1 : -1), user_ids: isAdded ? [...others, user_id] : others };
  const changed = at < 0 ? [...reactions, change] : reactions.with(at, change);
  return { reactions: changed.filter((one) => one.count > 0) };
}

/** Applies an event that changes fields of a message without resending it. */
export function amend(
  state: LogState,
  { message_id, seq }: { message_id: string; seq: number },
  changed: (message: Message) => Partial<Message> | null
): LogState {
  const index = findIndexById(state.entries, message_id);
  const have = state.entries[index] ?? state.unseen.get(message_id);
  if (!have || have.version >= seq) return state;
  const change = changed(have.message);
  if (!change) return state;
  const entry = { ...have, version: seq, message: { ...have.message, ...change } };
  return index < 0
    ? { ...state, unseen: new Map(state.unseen).set(message_id, entry) }
    : replaceAt(state, index, entry);
}

/** Number of participants the server lists per thread. */
const MAX_FACES = 5;

/** Counts a reply at the root of its thread, unless a newer summary has arrived. */
export function countReply(state: LogState, { thread_id, no, created_at, sender }: Message, seq: number): LogState {
  if (!thread_id) return state;
  return amend(state, { message_id: thread_id, seq }, ({ thread }) => {
    const { reply_count = 0, last_no = 0, participants = [], ...rest } = thread ?? {};
    if (last_no >= no) return null;
    const isNew = participants.length < MAX_FACES && !participants.some(({ id }) => id === sender.id);
    return {
      thread: {
        ...rest,
        reply_count: reply_count + 1,
        last_no: no,
        last_reply_at: created_at,
        participants: isNew && sender.id ? [...participants, { kind: sender.kind, id: sender.id }] : participants
      }
    };
  });
}

/** Applies a thread summary. It has no sequence number and may arrive before the replies it counts. */
export function applyThread(state: LogState, messageId: string, thread: ThreadSummary | null): LogState {
  const index = findIndexById(state.entries, messageId);
  const have = state.entries[index];
  if (!have || (have.message.thread?.last_no ?? 0) > (thread?.last_no ?? 0)) return state;
  return replaceAt(state, index, { ...have, message: { ...have.message, thread } });
}

export function replaceAt(state: LogState, index: number, entry: Entry): LogState {
  return state.entries[index] === entry ? state : { ...state, entries: state.entries.with(index, entry) };
}
