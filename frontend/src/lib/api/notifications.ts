/** The wire contract of what one is told of. */
import type * as Described from './generated/types.gen.ts';
import type { Picture } from './assistants.ts';
import type { Always, Id, SenderKind, Timestamp } from './types.ts';

export type NotificationKind = Described.NotificationKind;

/** `GET /r1/notifications`, and the frame `notification` */
export interface Notification {
  id: Id;
  kind: NotificationKind;
  conversation_id?: Id | null;
  message_id?: Id | null;
  thread_id?: Id | null;
  actor?: { kind: SenderKind; id?: string | null; name: string; picture?: Picture | null } | null;
  /** How many messages, replies or reactions it stands for. */
  count: number;
  /** The keyword, the emoji, or how everybody was mentioned. */
  detail?: string | null;
  upload_id?: Id | null;
  title: string;
  text: string;
  /** It is listed, and nothing more. */
  silent: boolean;
  created_at: Timestamp;
  read_at?: Timestamp | null;
}

export type NotifyLevel = Described.Notify;

export type QuietHours = Described.QuietHours;

/** `GET /r1/notifications/settings` */
export type NotificationSettings = Always<Described.NotificationSettings, 'quiet' | 'dnd_until' | 'mail_after_minutes'>;
