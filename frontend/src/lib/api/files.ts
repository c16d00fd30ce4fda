/** API types of files. */
import type * as Described from './generated/types.gen.ts';
import type { Sender } from './types.ts';
import { base } from '#lib/util/address.ts';

/** Uploaded file. Some fields are missing while the upload is in progress. */
export type Upload = Omit<Described.Upload, Later | 'peaks'> &
  Partial<Pick<Described.Upload, Later>> & {
    /** Waveform of a voice message: 64 values from 0 to 255. */
    peaks?: readonly number[] | null;
  };
type Later = 'kind' | 'created_at';

/** `GET /r1/conversations/{id}/files` */
export type SentFile = Omit<Described.ConversationFile, 'sender' | 'upload'> & { sender: Sender; upload: Upload };

export type Width = 320 | 1280;

/**
 * Returns the URL of a picture scaled to `width`. Undefined if the server has no scaled version: even a small file may decode to more memory than the
 * device has.
 */
export function pictureUrl(upload: Pick<Upload, 'id' | 'name' | 'thumbhash'>, width: Width): string | null {
  return upload.thumbhash ? fileUrl(upload, width) : null;
}

/** URL that opens a PDF at a page. */
export function pdfUrl(file: Pick<Upload, 'id' | 'name'>, page: number): string {
  return `${fileUrl(file)}?view=true#page=${page}`;
}

/** URL that shows a text file as plain text. */
export function textUrl(file: Pick<Upload, 'id' | 'name'>): string {
  return `${fileUrl(file)}?view=true`;
}

/** URL of the file, or of its scaled picture if `width` is given. */
export function fileUrl({ id, name }: Pick<Upload, 'id' | 'name'>, width?: Width): string {
  return `${base}/files/${id}/${encodeURIComponent(name)}${width ? `?size=${width}` : ''}`;
}
