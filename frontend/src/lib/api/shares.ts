/** Chats with assistants that are shown to others of their workspace. */
import type { Id, Sender, Timestamp } from './types.ts';

/** `PUT /r1/conversations/{id}/share` */
export interface Share {
  readonly id: Id;
  /** So many are shown. */
  readonly messages: number;
  /** As it was then it is shown. */
  readonly updated_at: Timestamp;
}

/** `GET /r1/shared/{id}` */
export interface SharedChat {
  readonly id: Id;
  readonly workspace_id: Id;
  readonly title: string | null;
  readonly shared_by: { readonly id: Id; readonly name: string };
  readonly updated_at: Timestamp;
}

/** Of `GET /r1/shared/{id}/messages`. */
export interface SharedMessage {
  readonly id: Id;
  readonly sender: Sender;
  readonly content: string;
  readonly model: string | null;
  /** Their names: the files are not shared. */
  readonly files: readonly string[];
  readonly created_at: Timestamp;
}
