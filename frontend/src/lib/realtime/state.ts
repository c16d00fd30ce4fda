/**
 * State of one conversation: its loaded messages, the position in the log, waiting events and unsent messages. Only `reducer.ts` creates new states.
 */
import type { Details, FieldError } from '#lib/api/client.ts';
import type { DurableFrame, Mention, Message } from '#lib/api/types.ts';
import type { AttachedFile } from './pending-attachments.ts';

/** Message, with the sequence number of the last event that it certainly includes. */
export interface Entry {
  readonly message: Message;
  readonly version: number;
  /** Reason why an assistant's answer has failed, if the event contains one; otherwise null. */
  readonly reason: string | null;
}

/** Part of a streaming answer. `offset` is its position in the text, in UTF-16 units. */
export interface Delta {
  readonly message_id: string;
  readonly offset: number;
  readonly text: string;
}

export interface Failure {
  readonly code: string;
  readonly message: string;
  /** Absent in messages that an older version of the app has stored. */
  readonly details?: Details;
  /** Errors of single fields of the message. */
  readonly fields?: readonly FieldError[];
}

/** Thread in which a message is sent, whether it is also shown in the conversation, which message it forwards, and whether it gets link previews. */
export type Placed = Pick<Outgoing, 'thread_id' | 'also_to_conversation' | 'forward_of' | 'previews'>;

/**
 * State of an unsent message. `waiting`: for the connection. `sending`: requested. `sent`: confirmed, but the event hasn't arrived. `failed`:
 * rejected.
 */
export type OutgoingState = 'waiting' | 'sending' | 'sent' | 'failed';

/** Message of the user that is not in the log yet. */
export interface Outgoing {
  readonly client_id: string;
  readonly conversation_id: string;
  readonly content: string;
  readonly reply_to: string | null;
  /** Absent in messages that an older version of the app has stored. */
  readonly mentions?: readonly Mention[];
  readonly files?: readonly AttachedFile[];
  /** Whether the user has confirmed that the message may notify many people. */
  readonly confirm?: boolean;
  /** Id of the first message of the thread in which it is sent. */
  readonly thread_id?: string;
  /** Whether a reply in a thread is also shown in the conversation. */
  readonly also_to_conversation?: boolean;
  /** Id of the message that it forwards. */
  readonly forward_of?: string;
  /** False if its links get no previews. */
  readonly previews?: false;
  readonly created_at: string;
  readonly state: OutgoingState;
  readonly failure: Failure | null;
  /** Sequence number of the message; null until the server has confirmed it. */
  readonly seq: number | null;
}

export interface LogState {
  /** Id of the first message if this is the state of a thread; null for a conversation. */
  readonly line: string | null;
  /** Loaded messages in the order of their sequence numbers, without gaps. */
  readonly entries: readonly Entry[];
  readonly loaded: boolean;
  readonly loading: boolean;
  readonly hasOlder: boolean;
  /** Sequence number up to which all events are included in `entries`. */
  readonly cursor: number;
  /** Sequence number of the newest event that is known to exist. If it is higher than `cursor`, events are missing. */
  readonly known: number;
  /** Events in the order of their numbers that wait because an earlier one is missing. */
  readonly early: readonly DurableFrame[];
  /** Changed messages that aren't loaded. An older page that is loaded later may contain an outdated version of them. */
  readonly unseen: ReadonlyMap<string, Entry>;
  readonly deletedIds: ReadonlySet<string>;
  /** Reactions of the user that aren't confirmed, by message, emoji and person. True: added; false: removed. */
  readonly reacting: ReadonlyMap<string, boolean>;
  /** Answers of which deltas are missing, with the deltas that came after these. */
  readonly gaps: ReadonlyMap<string, readonly Delta[]>;
  readonly outbox: readonly Outgoing[];
  /**
   * Messages that must be loaded, because another version of a message was selected; null if there are none. Those after `after` were replaced by the
   * event `at`.
   */
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

/** Whether events are missing, so that those after `cursor` must be requested. */
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

/** Index of a message; -1 if it isn't loaded. Searches from the end, because recent messages are requested most. */
export function findIndexById(entries: readonly Entry[], id: string): number {
  for (let index = entries.length - 1; index >= 0; index--) {
    if (entries[index]?.message.id === id) return index;
  }
  return -1;
}

/** Whether a message is shown in the conversation (`line` is null) or in the thread with the first message `line`. */
export function isIn(line: string | null, { id, thread_id, also_to_conversation }: Placeable): boolean {
  return line === null ? !thread_id || also_to_conversation === true : thread_id === line || id === line;
}

interface Placeable {
  readonly id?: string;
  readonly thread_id?: string | null;
  readonly also_to_conversation?: boolean;
}
