/** Channels, one's own place in a conversation, and one's own sections of the sidebar. */
import type { Id, Timestamp } from './types.ts';

export type Notify = 'all' | 'mentions' | 'none';

export type Posting = 'everyone' | 'admins';

/** What can be changed of one's own place in a conversation. */
export interface OwnChange {
  notify?: Notify;
  muted_until?: Timestamp | null;
  pinned?: boolean;
  section_id?: Id | null;
}

export interface Section {
  id: Id;
  name: string;
  position: number;
}

/** A mute without an end. */
export const FOREVER: Timestamp = '9999-12-31T00:00:00.000Z';
