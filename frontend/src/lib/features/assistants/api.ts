/** API types and requests of assistants: knowledge files, citations and instructions. */
import type * as Described from '#lib/api/generated/types.gen.ts';
import type { Id } from '#lib/api/types.ts';
import type { Api } from '#lib/api/client.ts';

export type KnowledgeState = Described.KnowledgeState;

export type KnowledgeFile = Described.KnowledgeFile;

/** Owner of knowledge files: an assistant, a section of the user within a workspace, or a workspace. */
export type KnowledgeOwner = { assistant_id: Id } | { section_id: Id; workspace_id: Id } | { workspace_id: Id };

/** `GET /r1/assistants/{id}/knowledge`, `GET /r1/sections/{id}/knowledge`, `GET /r1/workspaces/{id}/knowledge` */
export type Knowledge = Described.Knowledge;

/** Chunk of a file that an answer cites; `[n]` in the text refers to it. */
export type Citation = Described.Citation;

/** `GET /r1/messages/{id}/citations/{n}` */
export type CitedPiece = Described.CitedPiece;

/** Knowledge chunks that an answer was based on. */
export type AnswerKnowledge = Described.AnswerKnowledge;

export const fetchAssistant = (api: Api, id: Id) => api.get(`/assistants/${id}`);

/** Fetches the default assistant of a workspace; null if it has none. */
export async function fetchDefaultAssistant(api: Api, workspaceId: Id | undefined) {
  const { items } = await api.get('/assistants', { workspace_id: workspaceId, page_size: 200 });
  return items.find(({ is_default }) => is_default) ?? null;
}

/** Fetches the passage that citation `n` of an answer refers to. */
export const fetchCitedPassage = (api: Api, messageId: Id, n: number) =>
  api.get(`/messages/${messageId}/citations/${n}`);

/** Fetches the instructions that the user gives to all assistants. */
export const fetchInstructions = (api: Api) => api.get('/users/me/instructions');

export const saveInstructions = (api: Api, instructions: string) => api.put('/users/me/instructions', { instructions });

/** Fetches the instructions that assistants get in the chats of a section. */
export const fetchSectionInstructions = (api: Api, sectionId: Id) => api.get(`/sections/${sectionId}/instructions`);

export const saveSectionInstructions = (api: Api, sectionId: Id, instructions: string) =>
  api.put(`/sections/${sectionId}/instructions`, { instructions });
