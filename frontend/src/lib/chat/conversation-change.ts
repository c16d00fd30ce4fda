/** What a durable event changes in a conversation as the list shows it. */
import type { Conversation, DurableFrame, Id, Message } from '#lib/api/types.ts';

/** `gone`: it is not the reader's any more. */
export type Change = 'gone' | { readonly conversation: Conversation; readonly isLastUnknown: boolean };

export function changedBy(frame: DurableFrame, conversation: Conversation, me: Id | undefined): Change {
  const { seq } = frame.payload;
  const become = (change: Partial<Conversation>, isLastUnknown = false): Change => ({
    conversation: { ...conversation, ...change, last_seq: seq },
    isLastUnknown
  });
  switch (frame.type) {
    case 'message.created':
      return become(withMessage(conversation, frame.payload.message, me));
    case 'message.updated':
    case 'message.completed':
    case 'message.failed': {
      const { message } = frame.payload;
      const isLast = conversation.last_message?.id === message.id;
      const isBranchChanged = 'branch_changed' in frame.payload && frame.payload.branch_changed === true;
      return become(isLast ? { last_message: message } : {}, isBranchChanged);
    }
    case 'message.deleted':
      return become({}, conversation.last_message?.id === frame.payload.message_id);
    case 'member.added':
    case 'member.updated': {
      const { member } = frame.payload;
      const known = conversation.members ?? [];
      const rest = known.filter((other) => other.user_id !== member.user_id);
      const isNew = frame.type === 'member.added' && rest.length === known.length;
      return become({
        members: [...rest, member],
        member_count: conversation.member_count + (isNew ? 1 : 0),
        own: member.user_id === me ? { ...conversation.own, role: member.role } : conversation.own
      });
    }
    case 'member.removed': {
      const { user_id } = frame.payload;
      if (user_id === me) return 'gone';
      return become({
        members: conversation.members?.filter((member) => member.user_id !== user_id),
        member_count: conversation.member_count - 1
      });
    }
    case 'assistant.added': {
      const { assistant_id: id, name } = frame.payload;
      const rest = (conversation.assistants ?? []).filter((assistant) => assistant.id !== id);
      return become({ assistants: [...rest, { id, name, model: null }] });
    }
    case 'conversation.updated':
      return become({ title: frame.payload.title, topic: frame.payload.topic });
    case 'conversation.deleted':
      return 'gone';
    case 'reaction.added':
    case 'reaction.removed':
      return become({});
  }
}

function withMessage(conversation: Conversation, message: Message, me: Id | undefined): Partial<Conversation> {
  const isOwn = message.sender.kind === 'user' && message.sender.id === me;
  return {
    last_message: message,
    last_activity_at: message.created_at,
    unread: isOwn ? conversation.unread : conversation.unread + 1
  };
}
