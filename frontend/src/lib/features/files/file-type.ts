/** Kind of a file, by its media type and name. */
import File from '@lucide/svelte/icons/file';
import FileArchive from '@lucide/svelte/icons/file-archive';
import FileAudio from '@lucide/svelte/icons/file-music';
import FileCode from '@lucide/svelte/icons/file-code';
import FileImage from '@lucide/svelte/icons/file-image';
import FileSheet from '@lucide/svelte/icons/file-spreadsheet';
import FileText from '@lucide/svelte/icons/file-text';
import FileTypeIcon from '@lucide/svelte/icons/file-type';
import FileVideo from '@lucide/svelte/icons/file-play';
import type { Upload } from '#lib/api/files.ts';

export type FileType = 'picture' | 'video' | 'voice' | 'audio' | 'file';

/** Picture types that the server lets browsers display. */
const PICTURES = /^image\/(png|jpeg|gif|webp|avif|heic)$/;
const VIDEOS = /^video\/(mp4|webm|quicktime)$/;
const AUDIOS = /^audio\/(mpeg|mp3|mp4|m4a|x-m4a|webm|aac|ogg|wav|flac)$/;

type FileFacts = Pick<Upload, 'media_type'> & Partial<Pick<Upload, 'status' | 'kind' | 'peaks' | 'thumbhash'>>;

/** Whether the file is a picture of which the server has no preview, because it can't convert it or it is too large. */
export function lacksPreview({ media_type, status = 'ready', thumbhash }: FileFacts): boolean {
  return status === 'ready' && !thumbhash && PICTURES.test(media_type);
}

export function fileTypeOf({ media_type, status = 'ready', kind, peaks, thumbhash }: FileFacts): FileType {
  if (status !== 'ready') return 'file';
  if (kind === 'voice' || peaks?.length) return 'voice';
  // The server could create a thumbnail, so the picture is safe to display.
  if (PICTURES.test(media_type) && thumbhash) return 'picture';
  if (VIDEOS.test(media_type)) return 'video';
  return AUDIOS.test(media_type) ? 'audio' : 'file';
}

const ICONS: readonly (readonly [RegExp, typeof File])[] = [
  [/^image\//, FileImage],
  [/^video\//, FileVideo],
  [/^audio\//, FileAudio],
  [/pdf$/, FileTypeIcon],
  [/spreadsheet|excel|csv/, FileSheet],
  [/zip|compressed|x-tar|gzip|x-7z|rar/, FileArchive],
  [/json|javascript|xml|html|x-sh|typescript|yaml|toml|x-python|x-rust/, FileCode],
  [/^text\/|word|document|rtf/, FileText]
];

export function iconOf(mediaType: string): typeof File {
  return ICONS.find(([type]) => type.test(mediaType))?.[1] ?? File;
}

/** File name extension in capitals, such as “PDF”. */
export function typeOf(name: string): string {
  const ending = /\.([a-z0-9]{1,5})$/i.exec(name)?.[1];
  return ending ? ending.toUpperCase() : '';
}
