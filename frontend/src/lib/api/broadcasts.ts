/** The wire contract of announcements. */
import type * as Described from './generated/types.gen.ts';
import type { Id, Timestamp } from './types.ts';

export type Severity = Described.Severity;
export type BroadcastStatus = Described.BroadcastStatus;
export type BroadcastChannel = Described.BroadcastChannel;

/** Whom one is for: everyone, or those whom all of the others let through. */
export interface Audience {
  all?: boolean;
  workspace_ids?: Id[];
  roles?: ('user' | 'admin')[];
  plan_ids?: Id[];
  user_ids?: Id[];
}

/** `GET /r1/broadcasts/active`, and the frame `broadcast` */
export interface Announcement {
  id: Id;
  title: string;
  /** Markdown. */
  body: string;
  severity: Severity;
  dismissible: boolean;
  /** Only an active one is shown. */
  status: BroadcastStatus;
  starts_at: Timestamp;
  /** Null: until it is withdrawn. */
  ends_at: Timestamp | null;
  /** Of two the later one counts. */
  updated_at: Timestamp;
}

/** What an admin writes. */
export interface BroadcastWish {
  title: string;
  body: string;
  severity: Severity;
  audience: Audience;
  channels: BroadcastChannel[];
  dismissible: boolean;
  starts_at: Timestamp | null;
  ends_at: Timestamp | null;
}

/** `GET /r1/broadcasts` */
export interface Broadcast extends Announcement {
  audience: Audience;
  channels: BroadcastChannel[];
  withdrawn_at: Timestamp | null;
  created_at: Timestamp;
  /** How many it concerned when it began. */
  recipients: number;
  delivered: number;
  seen: number;
  dismissed: number;
}

/** `POST /r1/broadcasts/preview` */
export type Reach = Described.BroadcastPreview;
