/** The wire contract of reports, warnings and unwanted words. */
import type * as Described from './generated/types.gen.ts';
import type { Upload } from './files.ts';
import type { Always, ConversationKind, Id, Sender, Timestamp } from './types.ts';

export type ReportReason = Described.ReportReason;

export type ReportStatus = Described.ReportStatus;
export type ReportDeed = Described.ReportDeed;

interface Person {
  id: Id;
  /** Null once the account is deleted. */
  name: string | null;
}

/** `GET /r1/admin/reports` */
export interface Report {
  id: Id;
  status: ReportStatus;
  reason: ReportReason;
  /** What the reporter added. */
  words: string | null;
  reporter: Person;
  message_id: Id;
  author: Sender;
  /** Null once the conversation is deleted. */
  place: {
    conversation_id: Id;
    workspace_id: Id;
    kind: ConversationKind;
    title: string | null;
    may_read: boolean;
  } | null;
  /** What the message said when it was reported; null once the report is closed. */
  content: string | null;
  hidden_at: Timestamp | null;
  deleted_at: Timestamp | null;
  edited_at: Timestamp | null;
  sent_at: Timestamp | null;
  /** How many have reported the message. */
  reports: number;
  /** How many other messages of the author were reported before. */
  earlier: number;
  taken_by: Person | null;
  taken_at: Timestamp | null;
  closed_by: Person | null;
  closed_at: Timestamp | null;
  /** Nothing: it was dismissed. */
  deeds: ReportDeed[];
  created_at: Timestamp;
}

/** `GET /r1/admin/reports/{id}` */
export interface ReportDetails extends Report {
  attachments: Upload[];
  /** The newest other reports on the author. */
  others: Report[];
  warnings: number;
}

/** `GET /r1/messages/{id}/hidden` */
export interface Hidden {
  message_id: Id;
  content: string;
  attachments: Upload[];
  hidden_at: Timestamp;
}

/** `GET /r1/users/me/warnings` */
export type Warning = Always<Described.Warning, 'words' | 'message_id' | 'conversation_id' | 'seen_at'>;

export type WordAction = Described.WordAction;

/** `GET /r1/conversations/{id}/word_filter` */
export type WordFilter = Described.WordFilter;
