/** The wire contract of notes. */
import type { Id, Timestamp } from './types.ts';

/** `GET /r1/notes` */
export interface Note {
  id: Id;
  title: string;
  /** Markdown; empty once it is deleted. */
  content: string;
  pinned: boolean;
  version: number;
  created_at: Timestamp;
  /** When it was written, on whatever device. */
  edited_at: Timestamp;
  /** When it was stored: a list goes on after it. */
  updated_at: Timestamp;
  deleted_at: Timestamp | null;
}
