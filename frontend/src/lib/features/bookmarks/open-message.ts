import { goto } from '#lib/util/navigation.ts';
import type { App } from '#lib/app/app.ts';
import type { Message } from '#lib/api/types.ts';

type MessageLocation = Pick<Message, 'id' | 'conversation_id' | 'thread_id' | 'also_to_conversation'>;

/** Opens a conversation at a message. If the message is a reply in a thread, its thread opens too. */
export async function openMessage(
  { shell }: Pick<App, 'shell'>,
  message: MessageLocation,
  replace = false
): Promise<void> {
  const { id, conversation_id: conversationId, thread_id: rootId, also_to_conversation: isTold } = message;
  if (rootId && !isTold) shell.openThread({ conversationId, rootId }, id);
  else shell.showMessage(id);
  await goto(`/c/${conversationId}`, { replace });
}
