/** What stores hear of the server, and when what they have read may have grown old without a word. */
import type { ServerFrame } from '#lib/api/types.ts';

/** Something that is read from the server. */
export interface LoadedData {
  /** When it was asked for last; null: never yet, -Infinity: in vain. */
  readonly requestedAt: number | null;
}

/** The part of the connection that tells what others do. */
export interface LiveUpdates {
  on(handler: (frame: ServerFrame) => void): () => void;
  /** Runs after each hello behind which that reading is old, see `isOld`. */
  onStale(reading: LoadedData, handler: () => void): () => void;
}

/** What was asked for so shortly before the first hello isn’t asked for again: a page that opens pays for each answer. */
const FRESH_MS = 5_000;

/** Whether what was read has to be read anew after a hello: after each that isn’t the first, for nothing was heard before it. */
export function isStale({ requestedAt: requestedAt }: LoadedData, isFirst: boolean): boolean {
  if (requestedAt === null) return false;
  return !isFirst || Date.now() - requestedAt >= FRESH_MS;
}
