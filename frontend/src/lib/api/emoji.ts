/** Emoji that the people of a workspace have added to it. */
import type * as Described from './generated/types.gen.ts';
import type { Always } from './types.ts';
import { base } from '#lib/address.ts';

/** `GET /r1/workspaces/{id}/emoji` */
export type WorkspaceEmoji = Always<Described.WorkspaceEmoji, 'author'>;

/** Where its picture is. */
export const emojiUrl = (uploadId: string, name: string): string => `${base}/files/${uploadId}/${name}`;
