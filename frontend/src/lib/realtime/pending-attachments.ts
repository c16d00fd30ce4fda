/** A file on its way into a message: chosen, going up, there. */
import type { Upload } from '#lib/api/files.ts';
import type { Failure } from './state.ts';

/** What is known of a file before the server has it. */
export interface PickedFile {
  readonly name: string;
  readonly media_type: string;
  readonly size: number;
  /** A recording made here. */
  readonly voice?: { readonly peaks: readonly number[]; readonly duration_ms: number };
}

/** How an unsent message names a file that it takes along. */
export interface AttachedFile extends PickedFile {
  readonly key: string;
}

export interface Attachment extends AttachedFile {
  /** `waiting`: for its turn, or for a connection. */
  readonly state: 'waiting' | 'uploading' | 'ready' | 'failed';
  /** How much of it is there, from 0 to 1. */
  readonly share: number;
  readonly failure: Failure | null;
  /** It would be refused again. */
  readonly isFinal: boolean;
  /** A picture of it in this browser. */
  readonly preview: string | null;
  readonly upload: Upload | null;
}

/** A message may have so many. */
export const MAX_FILES = 10;
