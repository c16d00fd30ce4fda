/** Threads, and what people keep of messages for themselves. */
import type { Id, Message, Timestamp } from './types.ts';

/** How somebody stands to a thread. */
export interface ThreadOwn {
  readonly following: boolean;
  /** The number of the last reply that they have read. */
  readonly read_no: number;
  readonly unread: number;
}

/** `GET /r1/messages/{id}/thread`: part of a thread, oldest first. */
export interface ThreadPart {
  readonly root: Message;
  readonly items: Message[];
  readonly has_more: boolean;
  readonly own: ThreadOwn;
}

/** `GET /r1/threads` */
export interface FollowedThread {
  readonly root: Message;
  readonly conversation_id: Id;
  readonly unread: number;
  readonly last_reply_at: Timestamp;
  readonly solved: boolean;
}

export type ThreadFilter = 'all' | 'unread' | 'solved';

/** `GET /r1/saved` */
export interface SavedMessage {
  readonly message: Message;
  readonly saved_at: Timestamp;
}

/** `GET /r1/messages/{id}/saved` */
export interface SavedState {
  readonly saved: boolean;
}

/** `GET /r1/messages/{id}/around`: oldest first. */
export interface Neighbours {
  readonly items: Message[];
  readonly has_more_before: boolean;
  readonly has_more_after: boolean;
}
