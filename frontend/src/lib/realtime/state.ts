/**
 * What a client knows of one conversation: the messages that it has loaded, how far in the event log it has come,
 * what it has heard of too early, and what it wants to send. `reducer.ts` is the only place that makes a new one.
 */
import type { Details, FieldError } from '#lib/api/client.ts';
import type { DurableFrame, Mention, Message } from '#lib/api/types.ts';
import type { AttachedFile } from './pending-attachments.ts';

/** A message and the last event of the log that is surely reflected in it. */
export interface Entry {
  readonly message: Message;
  readonly version: number;
  /** Why an assistant's answer failed, when the event told it. */
  readonly reason: string | null;
}

/** A piece of a streaming answer; `offset` counts UTF-16 code units, as JavaScript does. */
export interface Delta {
  readonly message_id: string;
  readonly offset: number;
  readonly text: string;
}

export interface Failure {
  readonly code: string;
  readonly message: string;
  /** What else the server says of it; nothing in what an older version of the app has kept. */
  readonly details?: Details;
  /** Of what it says which field is wrong, where it is one. */
  readonly fields?: readonly FieldError[];
}

/** Where a message goes besides its conversation, and what it passes on. */
export type Placed = Pick<Outgoing, 'thread_id' | 'also_to_conversation' | 'forward_of' | 'previews'>;

/** `waiting`: no connection yet. `sending`: on its way. `sent`: the server has it, its event is still to come. */
export type OutgoingState = 'waiting' | 'sending' | 'sent' | 'failed';

/** A message of one's own that is not in the log yet. */
export interface Outgoing {
  readonly client_id: string;
  readonly conversation_id: string;
  readonly content: string;
  readonly reply_to: string | null;
  /** Whom it calls; none in what an older version of the app has kept. */
  readonly mentions?: readonly Mention[];
  /** Files that it takes along. */
  readonly files?: readonly AttachedFile[];
  /** It may call many. */
  readonly confirm?: boolean;
  /** The message in whose thread it is said. */
  readonly thread_id?: string;
  /** It is shown in the main line, too. */
  readonly also_to_conversation?: boolean;
  /** The message that it passes on. */
  readonly forward_of?: string;
  /** Without previews of its links. */
  readonly previews?: false;
  readonly created_at: string;
  readonly state: OutgoingState;
  readonly failure: Failure | null;
  /** Known once the server has answered. */
  readonly seq: number | null;
}

export interface LogState {
  /** The message whose thread this is, which comes first in it; null: the main line. */
  readonly line: string | null;
  /** Loaded messages without a hole between them, by `seq`. */
  readonly entries: readonly Entry[];
  readonly loaded: boolean;
  readonly loading: boolean;
  readonly hasOlder: boolean;
  /** Every durable event up to this one is reflected in `entries`. */
  readonly cursor: number;
  /** The newest durable event that is known to exist. Where it is beyond the cursor, something was missed. */
  readonly known: number;
  /** Events beyond a gap, by `seq`; they are applied when the gap is closed. */
  readonly early: readonly DurableFrame[];
  /** Newest versions of messages that are not loaded: an older page that was read before may still bring a stale one. */
  readonly unseen: ReadonlyMap<string, Entry>;
  readonly deletedIds: ReadonlySet<string>;
  /** What the reader has done to reactions (true: added) and the log has not told yet, by message, emoji and person. */
  readonly reacting: ReadonlyMap<string, boolean>;
  /** Answers with a hole in their text, and the pieces that wait beyond it. */
  readonly gaps: ReadonlyMap<string, readonly Delta[]>;
  readonly outbox: readonly Outgoing[];
  /** What follows `after` was exchanged by the event `at`, and has to be read. */
  readonly branch: Branch | null;
}

export interface Branch {
  readonly after: number;
  readonly at: number;
}

export const EMPTY: LogState = {
  line: null,
  entries: [],
  loaded: false,
  loading: false,
  hasOlder: false,
  cursor: 0,
  known: 0,
  early: [],
  unseen: new Map(),
  deletedIds: new Set(),
  reacting: new Map(),
  gaps: new Map(),
  outbox: [],
  branch: null
};

/** Something durable was missed: the log has to be asked for what came after `cursor`. */
export function isBehind(state: LogState): boolean {
  return state.loaded && state.known > state.cursor;
}

export function findIndexBySeq(entries: readonly Entry[], seq: number): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((entries[middle] as Entry).message.seq < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Looks from the end: what is asked for is nearly always recent. */
export function findIndexById(entries: readonly Entry[], id: string): number {
  for (let index = entries.length - 1; index >= 0; index--) {
    if (entries[index]?.message.id === id) return index;
  }
  return -1;
}

/** Whether a message is shown in that line: the main one, or a thread. */
export function isIn(line: string | null, { id, thread_id, also_to_conversation }: Placeable): boolean {
  return line === null ? !thread_id || also_to_conversation === true : thread_id === line || id === line;
}

interface Placeable {
  readonly id?: string;
  readonly thread_id?: string | null;
  readonly also_to_conversation?: boolean;
}
