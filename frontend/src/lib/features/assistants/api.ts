/** The wire contract of knowledge: files that assistants answer from, and what answers cite of them. */
import type * as Described from '#lib/api/generated/types.gen.ts';
import type { Id } from '#lib/api/types.ts';

export type KnowledgeState = Described.KnowledgeState;

export type KnowledgeFile = Described.KnowledgeFile;

/** Whose files they are: an assistant’s, in a workspace those of one’s own section, or the workspace’s own. */
export type Shelf = { assistant_id: Id } | { section_id: Id; workspace_id: Id } | { workspace_id: Id };

/** `GET /r1/assistants/{id}/knowledge`, `GET /r1/sections/{id}/knowledge`, `GET /r1/workspaces/{id}/knowledge` */
export type Knowledge = Described.Knowledge;

/** A piece that an answer cites: in its text stands `[n]`. */
export type Citation = Described.Citation;

/** `GET /r1/messages/{id}/citations/{n}` */
export type CitedPiece = Described.CitedPiece;

/** What an answer had of the files of its assistant. */
export type AnswerKnowledge = Described.AnswerKnowledge;
