import type { ConversationsStore } from '../conversations.svelte.ts';
import type { MessagesStore } from '../stores/messages.svelte.ts';

/** Reports to the server that the last messages, which the list shows, were delivered. */
export function useDeliveryReports(me: string, conversations: ConversationsStore, messages: MessagesStore): void {
  $effect(() => {
    for (const { id, last_message, members } of conversations.joined(undefined)) {
      const delivered = members?.find((member) => member.user_id === me)?.delivered_seq;
      if (last_message && last_message.sender.id !== me && delivered !== undefined && delivered < last_message.seq) {
        messages.recordDelivered(id, last_message.seq);
      }
    }
  });
}
