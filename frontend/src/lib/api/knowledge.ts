/** The wire contract of knowledge: files that assistants answer from, and what answers cite of them. */
import type * as Described from './generated/types.gen.ts';
import type { Id, Timestamp } from './types.ts';

export type KnowledgeState = Described.KnowledgeState;

export interface KnowledgeFile {
  id: Id;
  upload_id: Id;
  name: string;
  media_type: string;
  size: number;
  state: KnowledgeState;
  /** Why it failed; of one that waits: why the last try did. */
  error?: string | null;
  /** Into how many it was cut, and how many of them can be found already. */
  pieces: number;
  embedded: number;
  /** What that has cost so far, in millionths of a credit. */
  cost?: number;
  created_at: Timestamp;
}

/** Whose files they are: an assistant’s, in a workspace those of one’s own section, or the workspace’s own. */
export type Shelf = { assistant_id: Id } | { section_id: Id; workspace_id: Id } | { workspace_id: Id };

/** `GET /r1/assistants/{id}/knowledge`, `GET /r1/sections/{id}/knowledge`, `GET /r1/workspaces/{id}/knowledge` */
export interface Knowledge {
  /** What makes it searchable; null: nothing is set up for that. */
  model?: string | null;
  pieces: number;
  limits: { files: number; file_bytes: number; pieces: number };
  /** All of them, the newest first. */
  files: KnowledgeFile[];
}

/** A piece that an answer cites: in its text stands `[n]`. */
export interface Citation {
  n: number;
  file_id: Id;
  file_name: string;
  page?: number | null;
  heading?: string | null;
  line?: number | null;
  /** How it begins. */
  excerpt: string;
}

/** `GET /r1/messages/{id}/citations/{n}` */
export interface CitedPiece extends Omit<Citation, 'excerpt'> {
  upload_id: Id;
  text: string;
  /** The file itself, too. */
  may_read_file?: boolean;
  before?: string | null;
  after?: string | null;
}

/** What an answer had of the files of its assistant. */
export interface AnswerKnowledge {
  /** `failed`: it was written without them. */
  state: 'searched' | 'failed';
  /** So many were given to the model, of so many files. */
  pieces: number;
  files: number;
  /** So many were not searched: they are still being read, or couldn’t be. */
  missing?: number;
  reason?: string | null;
}
