import type { ConversationLog } from '../conversation-log.svelte.ts';
import { attemptAction } from './attempt-action.ts';

export async function stopAnswer(log: ConversationLog, id: string): Promise<void> {
  await attemptAction(() => log.requests.stop(id));
}

/** Stops the newest streaming answer. Returns false if there is none. */
export function stopLastAnswer(log: ConversationLog): boolean {
  const last = log.streaming.at(-1);
  if (last) void stopAnswer(log, last.id);
  return last !== undefined;
}
