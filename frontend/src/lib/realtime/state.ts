/**
 * Client state of one conversation: loaded messages, position in the event log, early events and unsent messages. Only `reducer.ts` creates new
 * states.
 */
import type { Details, FieldError } from '#lib/api/client.ts';
import type { DurableFrame, Mention, Message } from '#lib/api/types.ts';
import type { AttachedFile } from './pending-attachments.ts';

/** Message with the last log event that it certainly reflects. */
export interface Entry {
  readonly message: Message;
  readonly version: number;
  /** Failure reason of an assistant's answer, if the event had one. */
  readonly reason: string | null;
}

/** Delta of a streaming answer; `offset` counts UTF-16 code units. */
export interface Delta {
  readonly message_id: string;
  readonly offset: number;
  readonly text: string;
}

export interface Failure {
  readonly code: string;
  readonly message: string;
  /** Absent in data stored by older versions of the app. */
  readonly details?: Details;
  /** Invalid fields of the message. */
  readonly fields?: readonly FieldError[];
}

/** Destination of a message beyond its conversation, and its forwarded message. */
export type Placed = Pick<Outgoing, 'thread_id' | 'also_to_conversation' | 'forward_of' | 'previews'>;

/** `waiting`: not connected. `sending`: requested. `sent`: acknowledged, its event is still to come. */
export type OutgoingState = 'waiting' | 'sending' | 'sent' | 'failed';

/** Own message that is not in the log yet. */
export interface Outgoing {
  readonly client_id: string;
  readonly conversation_id: string;
  readonly content: string;
  readonly reply_to: string | null;
  /** Mentions; absent in data stored by older versions of the app. */
  readonly mentions?: readonly Mention[];
  /** Attachments. */
  readonly files?: readonly AttachedFile[];
  /** Confirms that the message may notify many people. */
  readonly confirm?: boolean;
  /** Root message of its thread. */
  readonly thread_id?: string;
  /** Also shown in the conversation. */
  readonly also_to_conversation?: boolean;
  /** Forwarded message. */
  readonly forward_of?: string;
  /** False if link previews are disabled. */
  readonly previews?: false;
  readonly created_at: string;
  readonly state: OutgoingState;
  readonly failure: Failure | null;
  /** Known after the response. */
  readonly seq: number | null;
}

export interface LogState {
  /** Root message of the thread; null for the conversation itself. */
  readonly line: string | null;
  /** Loaded messages without gaps, by `seq`. */
  readonly entries: readonly Entry[];
  readonly loaded: boolean;
  readonly loading: boolean;
  readonly hasOlder: boolean;
  /** Durable events up to this number are reflected in `entries`. */
  readonly cursor: number;
  /** Newest known durable event; beyond the cursor it means a gap. */
  readonly known: number;
  /** Events after a gap, by `seq`; applied when it is closed. */
  readonly early: readonly DurableFrame[];
  /** Latest versions of messages that aren't loaded, because an older page may be stale. */
  readonly unseen: ReadonlyMap<string, Entry>;
  readonly deletedIds: ReadonlySet<string>;
  /** Pending reactions of the reader (true: added), keyed by message, emoji and person. */
  readonly reacting: ReadonlyMap<string, boolean>;
  /** Answers with missing deltas and the deltas after them. */
  readonly gaps: ReadonlyMap<string, readonly Delta[]>;
  readonly outbox: readonly Outgoing[];
  /** Branch to load: messages after `after` were replaced by event `at`. */
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

/** Whether durable events were missed and must be requested from `cursor` on. */
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

/** Searches from the end, because recent messages are requested most. */
export function findIndexById(entries: readonly Entry[], id: string): number {
  for (let index = entries.length - 1; index >= 0; index--) {
    if (entries[index]?.message.id === id) return index;
  }
  return -1;
}

/** Whether the message is shown in the conversation (`line` null) or in that thread. */
export function isIn(line: string | null, { id, thread_id, also_to_conversation }: Placeable): boolean {
  return line === null ? !thread_id || also_to_conversation === true : thread_id === line || id === line;
}

interface Placeable {
  readonly id?: string;
  readonly thread_id?: string | null;
  readonly also_to_conversation?: boolean;
}
