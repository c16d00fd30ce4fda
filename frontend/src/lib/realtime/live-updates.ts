/** Interface between stores and the connection, and the rule that decides when loaded data is stale. */
import type { ServerFrame } from '#lib/api/types.ts';

/** Data loaded from the server. */
export interface LoadedData {
  /** Time of the last request; null if never requested, -Infinity if it failed. */
  readonly requestedAt: number | null;
}

/** Live events from the server. */
export interface LiveUpdates {
  on(handler: (frame: ServerFrame) => void): () => void;
  /** Runs the handler after each hello that makes `reading` stale, see `isStale`. */
  onStale(reading: LoadedData, handler: () => void): () => void;
}

/** Data requested this shortly before the first hello is still fresh, in milliseconds; avoids duplicate requests at page load. */
const FRESH_MS = 5_000;

/** Whether data must be reloaded after a hello. Nothing was received before a hello, so every one but the first invalidates it. */
export function isStale({ requestedAt: requestedAt }: LoadedData, isFirst: boolean): boolean {
  if (requestedAt === null) return false;
  return !isFirst || Date.now() - requestedAt >= FRESH_MS;
}
