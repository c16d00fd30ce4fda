/** What somebody has begun to write, and what is to happen later. */
import type { Id, Mention, Message, Timestamp } from './types.ts';

/** `GET /r1/drafts` */
export interface Draft {
  readonly conversation_id: Id;
  readonly thread_id: Id | null;
  /** Empty: there is none any more. */
  readonly content: string;
  /** The message that it answers. */
  readonly reply_to?: Id | null;
  readonly updated_at: Timestamp;
}

/** A message that is sent later. */
export interface Scheduled {
  readonly id: Id;
  readonly conversation_id: Id;
  readonly client_id: string;
  readonly content: string;
  readonly reply_to: Id | null;
  readonly thread_id: Id | null;
  readonly also_to_conversation: boolean;
  readonly mentions: readonly Mention[];
  readonly attachment_ids: readonly Id[];
  readonly send_at: Timestamp;
  readonly created_at: Timestamp;
  /** Why it was not sent at its time. */
  readonly failure: { readonly code: string; readonly message: string } | null;
}

/** `POST /r1/messages/{id}/reminders` */
export interface Reminder {
  readonly id: Id;
  readonly message: Message;
  readonly note: string | null;
  readonly at: Timestamp;
}
