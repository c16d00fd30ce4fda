/** Attachments of drafts and of messages that aren't sent yet. */
import type { Upload } from '#lib/api/files.ts';
import type { Failure } from './state.ts';

/** File that the user has chosen and that isn't uploaded yet. */
export interface PickedFile {
  readonly name: string;
  readonly media_type: string;
  readonly size: number;
  /** Waveform and duration if the file is a voice recording. */
  readonly voice?: { readonly peaks: readonly number[]; readonly duration_ms: number };
}

/** Attachment of a message that isn't sent yet. */
export interface AttachedFile extends PickedFile {
  readonly key: string;
}

export interface Attachment extends AttachedFile {
  /** State of the upload. `waiting`: for other uploads or the connection. */
  readonly state: 'waiting' | 'uploading' | 'ready' | 'failed';
  /** Upload progress, from 0 to 1. */
  readonly share: number;
  readonly failure: Failure | null;
  /** Whether the upload has failed and can't be retried. */
  readonly isFinal: boolean;
  /** URL of a local copy of the picture for display; null for other files. */
  readonly preview: string | null;
  readonly upload: Upload | null;
}

/** Maximum number of files per message. */
export const MAX_FILES = 10;
