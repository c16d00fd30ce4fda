import type { ConversationView } from '../conversation-view.svelte.ts';
import { requestsOf } from '../message-requests.ts';
import { attemptAction } from './attempt-action.ts';

export async function stopAnswer(view: ConversationView, id: string): Promise<void> {
  await attemptAction(() => requestsOf(view).stop(id));
}

/** Stops the newest streaming answer. Returns false if there is none. */
export function stopLastAnswer(view: ConversationView): boolean {
  const last = view.log.streaming.at(-1);
  if (last) void stopAnswer(view, last.id);
  return last !== undefined;
}
