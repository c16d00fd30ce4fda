/** API types of custom emoji. */
import type * as Described from '#lib/api/generated/types.gen.ts';
import type { Always } from '#lib/api/types.ts';
import { base } from '#lib/util/address.ts';

/** `GET /r1/workspaces/{id}/emoji` */
export type WorkspaceEmoji = Always<Described.WorkspaceEmoji, 'author'>;

/** URL of the picture of a custom emoji. */
export const emojiUrl = (uploadId: string, name: string): string => `${base}/files/${uploadId}/${name}`;
