/** Interface between the stores and the connection, and the rule when loaded data must be reloaded. */
import type { ServerFrame } from '#lib/api/types.ts';

/** Data that was loaded from the server. */
export interface LoadedData {
  /** Time of the last request; null if never requested, -Infinity if it failed. */
  readonly requestedAt: number | null;
}

/** Source of events from the server. */
export interface LiveUpdates {
  on(handler: (frame: ServerFrame) => void): () => void;
  /** Registers a handler that is called after each hello frame that makes `reading` stale (see `isStale`). */
  onStale(reading: LoadedData, handler: () => void): () => void;
}

/** Age in milliseconds up to which data is still fresh at the first hello frame, so that a page load doesn't request it twice. */
const FRESH_MS = 5_000;

/** Whether data must be reloaded after a hello frame. While disconnected, events were missed, so each hello frame but the first makes it stale. */
export function isStale({ requestedAt: requestedAt }: LoadedData, isFirst: boolean): boolean {
  if (requestedAt === null) return false;
  return !isFirst || Date.now() - requestedAt >= FRESH_MS;
}
