/** Attachment of a draft: chosen, uploading or uploaded. */
import type { Upload } from '#lib/api/files.ts';
import type { Failure } from './state.ts';

/** File before its upload. */
export interface PickedFile {
  readonly name: string;
  readonly media_type: string;
  readonly size: number;
  /** Voice recording. */
  readonly voice?: { readonly peaks: readonly number[]; readonly duration_ms: number };
}

/** Attachment of an unsent message. */
export interface AttachedFile extends PickedFile {
  readonly key: string;
}

export interface Attachment extends AttachedFile {
  /** `waiting`: for a free slot or the connection. */
  readonly state: 'waiting' | 'uploading' | 'ready' | 'failed';
  /** Upload progress, from 0 to 1. */
  readonly share: number;
  readonly failure: Failure | null;
  /** Whether the upload failed permanently. */
  readonly isFinal: boolean;
  /** Object URL of a local preview. */
  readonly preview: string | null;
  readonly upload: Upload | null;
}

/** Maximum number of files per message. */
export const MAX_FILES = 10;
