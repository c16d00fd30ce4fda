import type { Api } from '#lib/api/client.ts';
import type { NewPoll } from '#lib/api/types.ts';
import { mentionsIn } from '#lib/features/conversations/mentions.ts';
import type { ConversationView } from '#lib/features/conversations/conversation-view.svelte.ts';
import type { Repeatable } from '#lib/api/retryable.ts';

/** Creates a poll. It is shown when the event about it arrives. */
export async function createPoll(
  api: Api,
  { id, directory: { names }, root }: ConversationView,
  question: string,
  poll: NewPoll,
  asking: Repeatable
): Promise<void> {
  await api.post(`/conversations/${id}/messages`, {
    client_id: asking.idOf([question, poll]),
    content: question,
    mentions: mentionsIn(question, names),
    poll,
    ...(root && { thread_id: root })
  });
}
