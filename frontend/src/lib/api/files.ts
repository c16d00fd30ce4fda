/** Files as the server keeps them. */
import type * as Described from './generated/types.gen.ts';
import type { Sender } from './types.ts';
import { base } from '#lib/util/address.ts';

/** While it goes up the server hasn’t said all of it. */
export type Upload = Omit<Described.Upload, Later | 'peaks'> &
  Partial<Pick<Described.Upload, Later>> & {
    /** 64 numbers from 0 to 255, for its wave form. */
    peaks?: readonly number[] | null;
  };
type Later = 'kind' | 'created_at';

/** `GET /r1/conversations/{id}/files` */
export type SentFile = Omit<Described.ConversationFile, 'sender' | 'upload'> & { sender: Sender; upload: Upload };

export type Width = 320 | 1280;

/** A picture of that width. None where there is no smaller one: a file of a few bytes may be larger than the memory of whoever looks at it. */
export function pictureUrl(upload: Pick<Upload, 'id' | 'name' | 'thumbhash'>, width: Width): string | null {
  return upload.thumbhash ? fileUrl(upload, width) : null;
}

/** Where a browser shows a PDF, at that page. */
export function pdfUrl(file: Pick<Upload, 'id' | 'name'>, page: number): string {
  return `${fileUrl(file)}?view=true#page=${page}`;
}

/** Where a browser shows a text as it is written. */
export function textUrl(file: Pick<Upload, 'id' | 'name'>): string {
  return `${fileUrl(file)}?view=true`;
}

/** Where its bytes are; with a width, those of a smaller picture. */
export function fileUrl({ id, name }: Pick<Upload, 'id' | 'name'>, width?: Width): string {
  return `${base}/files/${id}/${encodeURIComponent(name)}${width ? `?size=${width}` : ''}`;
}
