/** Changes of parts of a message: reactions, pins and numbers of replies. */
import type { DurableFrame, Message, ThreadSummary } from '#lib/api/types.ts';
import { findIndexById, type Entry, type LogState } from './state.ts';

/** Reaction added or removed by a person. */
export interface ReactionChange {
  readonly message_id: string;
  readonly emoji: string;
  readonly user_id: string;
  readonly isAdded: boolean;
}

/** Applies an event about a reaction. If the message isn't loaded, nothing is done, because it will be loaded with its reactions. */
export function react(
  state: LogState,
  { type, payload: { message_id, emoji, user_id, seq } }: Extract<DurableFrame, { type: `reaction.${string}` }>
): LogState {
  const reacting = { message_id, emoji, user_id, isAdded: type === 'reaction.added' };
  const isShown = state.reacting.get(keyOf(reacting)) === reacting.isAdded;
  const next = isShown ? { ...state, reacting: without(state.reacting, keyOf(reacting)) } : state;
  return applyFieldChange(next, { message_id, seq }, ({ reactions }) => reactionsAfter(reactions, reacting, isShown));
}

/** Shows the user's reaction before the server confirms it. The event about it won't count it again. */
export function reactAtOnce(state: LogState, reacting: ReactionChange): LogState {
  const next = showReacting(state, reacting);
  if (next === state) return state;
  return { ...next, reacting: new Map(state.reacting).set(keyOf(reacting), reacting.isAdded) };
}

/** Reverts a reaction that the server has rejected, unless an event has changed it since. */
export function undoReacting(state: LogState, reacting: ReactionChange): LogState {
  if (state.reacting.get(keyOf(reacting)) !== reacting.isAdded) return state;
  const next = showReacting(state, { ...reacting, isAdded: !reacting.isAdded });
  return { ...next, reacting: without(state.reacting, keyOf(reacting)) };
}

function showReacting(state: LogState, reacting: ReactionChange): LogState {
  const index = findIndexById(state.entries, reacting.message_id);
  const have = state.entries[index];
  const change = have && reactionsAfter(have.message.reactions, reacting, false);
  return have && change ? replaceAt(state, index, { ...have, message: { ...have.message, ...change } }) : state;
}

const keyOf = ({ message_id, emoji, user_id }: ReactionChange) => `${message_id} ${emoji} ${user_id}`;

function without(known: ReadonlyMap<string, boolean>, key: string): ReadonlyMap<string, boolean> {
  const rest = new Map(known);
  rest.delete(key);
  return rest;
}

/** Reactions of a message after a change; null if that changes nothing. */
function reactionsAfter(
  reactions: Message['reactions'],
  { emoji, user_id, isAdded }: ReactionChange,
  isShown: boolean
): Pick<Message, 'reactions'> | null {
  const at = reactions.findIndex((one) => one.emoji === emoji);
  const { count, user_ids } = reactions[at] ?? { count: 0, user_ids: [] };
  const others = user_ids.filter((id) => id !== user_id);
  // The message may have been loaded with the change. If more people have reacted than `user_ids` lists, it is unknown whether the removed person is
  // still counted.
  const isThere = others.length < user_ids.length;
  if (isThere === isAdded && (isAdded || isShown || count === user_ids.length)) return null;
  const change = { emoji, count: count + (isAdded ? 1 : -1), user_ids: isAdded ? [...others, user_id] : others };
  const changed = at < 0 ? [...reactions, change] : reactions.with(at, change);
  return { reactions: changed.filter((one) => one.count > 0) };
}

/** Applies an event that changes fields of a message without containing the whole message. */
export function applyFieldChange(
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

/** Number of participants of a thread that the server lists. */
const MAX_FACES = 5;

/** Counts a reply at the first message of its thread, unless a summary that includes it has arrived. */
export function countReply(state: LogState, { thread_id, no, created_at, sender }: Message, seq: number): LogState {
  if (!thread_id) return state;
  return applyFieldChange(state, { message_id: thread_id, seq }, ({ thread }) => {
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

/** Applies the summary of a thread. It has no sequence number and may arrive before the replies that it counts. */
export function applyThread(state: LogState, messageId: string, thread: ThreadSummary | null): LogState {
  const index = findIndexById(state.entries, messageId);
  const have = state.entries[index];
  if (!have || (have.message.thread?.last_no ?? 0) > (thread?.last_no ?? 0)) return state;
  return replaceAt(state, index, { ...have, message: { ...have.message, thread } });
}

export function replaceAt(state: LogState, index: number, entry: Entry): LogState {
  return state.entries[index] === entry ? state : { ...state, entries: state.entries.with(index, entry) };
}
