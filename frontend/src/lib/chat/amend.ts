/** What changes at a message without the whole of it being told: reactions, pins, the replies that are counted at it. */
import type { DurableFrame, Message, ThreadSummary } from '#lib/api/types.ts';
import { findIndexById, type Entry, type LogState } from './state.ts';

/** Somebody answers a message with an emoji, or takes that back. */
export interface Reacting {
  readonly message_id: string;
  readonly emoji: string;
  readonly user_id: string;
  readonly isAdded: boolean;
}

/** One that is not loaded yet comes with its reactions. */
export function react(
  state: LogState,
  { type, payload: { message_id, emoji, user_id, seq } }: Extract<DurableFrame, { type: `reaction.${string}` }>
): LogState {
  const reacting = { message_id, emoji, user_id, isAdded: type === 'reaction.added' };
  const isKnown = state.takenBack.has(takenBackKey(reacting));
  const next = isKnown ? { ...state, takenBack: without(state.takenBack, takenBackKey(reacting)) } : state;
  return amend(next, { message_id, seq }, ({ reactions }) => changedBy(reactions, reacting, isKnown));
}

/** What the reader does is shown before it is told: by then it is there already, and counts once. */
export function reactAtOnce(state: LogState, reacting: Reacting): LogState {
  const index = findIndexById(state.entries, reacting.message_id);
  const have = state.entries[index];
  const reactions = have && changedBy(have.message.reactions, reacting, false);
  if (!have || !reactions) return state;
  const rest = without(state.takenBack, takenBackKey(reacting));
  const takenBack = reacting.isAdded ? rest : rest.add(takenBackKey(reacting));
  return replaceAt({ ...state, takenBack }, index, { ...have, message: { ...have.message, ...reactions } });
}

const takenBackKey = ({ message_id, emoji, user_id }: Reacting) => `${message_id} ${emoji} ${user_id}`;

function without(keys: ReadonlySet<string>, key: string): Set<string> {
  const rest = new Set(keys);
  rest.delete(key);
  return rest;
}

/** Null: it is so already. */
function changedBy(
  reactions: Message['reactions'],
  { emoji, user_id, isAdded }: Reacting,
  wasTakenBack: boolean
): Pick<Message, 'reactions'> | null {
  const at = reactions.findIndex((one) => one.emoji === emoji);
  const { count, user_ids } = reactions[at] ?? { count: 0, user_ids: [] };
  const others = user_ids.filter((id) => id !== user_id);
  // A page may have brought it already. Of more people than are named, nobody knows who has gone.
  const isThere = others.length < user_ids.length;
  if (isThere === isAdded && (isAdded || wasTakenBack || count === user_ids.length)) return null;
  const change = { emoji, count: count + (isAdded ? 1 : -1), user_ids: isAdded ? [...others, user_id] : others };
  const changed = at < 0 ? [...reactions, change] : reactions.with(at, change);
  return { reactions: changed.filter((one) => one.count > 0) };
}

/** Something about a message is another since that event, which doesn't bring the whole message. */
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

/** As many faces as the server tells of a thread. */
const FACES = 5;

/** A reply counts at the message that its thread belongs to. What is told of the thread by itself may have come first. */
export function countReply(state: LogState, { thread_id, no, created_at, sender }: Message, seq: number): LogState {
  if (!thread_id) return state;
  return amend(state, { message_id: thread_id, seq }, ({ thread }) => {
    const { reply_count = 0, last_no = 0, participants = [], ...rest } = thread ?? {};
    if (last_no >= no) return null;
    const isNew = participants.length < FACES && !participants.some(({ id }) => id === sender.id);
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

/** How a thread stands, told to those who look: it has no number in the log, and may come before what it counts. */
export function takeThread(state: LogState, messageId: string, thread: ThreadSummary | null): LogState {
  const index = findIndexById(state.entries, messageId);
  const have = state.entries[index];
  if (!have || (have.message.thread?.last_no ?? 0) > (thread?.last_no ?? 0)) return state;
  return replaceAt(state, index, { ...have, message: { ...have.message, thread } });
}

export function replaceAt(state: LogState, index: number, entry: Entry): LogState {
  return state.entries[index] === entry ? state : { ...state, entries: state.entries.with(index, entry) };
}
