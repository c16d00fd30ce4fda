/** Effects of events on a conversation of the list. */
import type { Conversation, DurableFrame, Id, MemberFrame, Message, Own } from '#lib/api/types.ts';
import { capabilitiesAfterConversion } from '../kinds.ts';
import { isMentioned } from '../mention-check.ts';

/** Result of an event. `gone`: the user isn't a member any more. `isUnsure`: the conversation must be reloaded. */
export type Change = 'gone' | { readonly conversation: Conversation; readonly isUnsure: boolean };

export function applyEvent(frame: DurableFrame, conversation: Conversation, me: Id | undefined): Change {
  const { seq } = frame.payload;
  const become = (change: Partial<Conversation>, isUnsure = false): Change => ({
    conversation: { ...conversation, ...change, last_seq: seq },
    isUnsure
  });
  switch (frame.type) {
    case 'reaction.added':
    case 'reaction.removed':
    case 'poll.updated':
    case 'message.pinned':
    case 'message.previews':
    case 'message.unpinned':
      return become({});
    case 'message.created':
      if (frame.payload.message.thread_id && !frame.payload.message.also_to_conversation) return become({});
      return become(withMessage(conversation, frame.payload.message, me));
    case 'message.updated':
    case 'message.completed':
    case 'message.failed': {
      const { message } = frame.payload;
      const isLast = conversation.last_message?.id === message.id;
      const isBranchChanged = 'branch_changed' in frame.payload && frame.payload.branch_changed === true;
      const isUnsure = isBranchChanged || (frame.type === 'message.updated' && mayCount(message, conversation, me));
      return become(isLast ? { last_message: message } : {}, isUnsure);
    }
    case 'message.deleted': {
      const isLast = conversation.last_message?.id === frame.payload.message_id;
      return become({}, isLast || (conversation.own?.unread_mentions ?? 0) > 0);
    }
    case 'member.added':
    case 'member.updated':
      return become(withMember(frame, conversation, me));
    case 'member.removed':
      return frame.payload.user_id === me ? 'gone' : become(withMember(frame, conversation, me));
    case 'conversation.updated': {
      const {
        title,
        topic,
        kind,
        posting,
        mention_all,
        history,
        slow_mode_seconds,
        assistants,
        model = null
      } = frame.payload;
      return become({
        title,
        topic,
        kind,
        capabilities: capabilitiesAfterConversion(kind, conversation),
        posting,
        mention_all,
        history,
        slow_mode_seconds,
        assistants,
        model
      });
    }
    case 'conversation.archived':
      return become({ archived_at: frame.payload.archived_at });
    case 'conversation.unarchived':
      return become({ archived_at: null });
    case 'conversation.deleted':
      return 'gone';
  }
}

/** Number of members that the server includes in a conversation. */
const MAX_NAMED = 20;

/** Fields of the conversation after a change of its members. */
export function withMember(frame: MemberFrame, conversation: Conversation, me: Id | undefined): Partial<Conversation> {
  const known = conversation.members ?? [];
  const { payload, type } = frame;
  const isLogged = payload.seq !== undefined;
  if (type === 'member.removed') {
    const { user_id } = payload;
    return {
      members: known.filter((member) => member.user_id !== user_id),
      ...(isLogged && { member_count: conversation.member_count - 1 })
    };
  }
  const { member } = payload;
  const rest = known.filter((other) => other.user_id !== member.user_id);
  const isNew = type === 'member.added' && rest.length === known.length;
  const isOwn = member.user_id === me && conversation.own !== null;
  return {
    // In large channels only the first members are known, and the new one may not be among them.
    members: isLogged || rest.length < MAX_NAMED ? [...rest, member] : known,
    // For channels an event of its own contains the number of members.
    ...(isLogged && isNew && { member_count: conversation.member_count + 1 }),
    ...(isOwn && { own: { ...conversation.own, role: member.role } as Own })
  };
}

/** Whether an edit may have changed the number of unread mentions. */
function mayCount(message: Message, { own, read_seq }: Conversation, me: Id | undefined): boolean {
  const isInMainLine = !message.thread_id || message.also_to_conversation === true;
  if (!own || !isInMainLine || message.seq <= read_seq || message.sender.id === me) return false;
  return own.unread_mentions > 0 || isMentioned(message.mentions ?? [], me ?? null);
}

function withMessage(conversation: Conversation, message: Message, me: Id | undefined): Partial<Conversation> {
  const isOwn = message.sender.kind === 'user' && message.sender.id === me;
  const { own } = conversation;
  const mentions = own?.unread_mentions ?? 0;
  return {
    last_message: message,
    last_activity_at: message.created_at,
    // Sending a message marks the earlier ones as read.
    ...(isOwn && { read_seq: Math.max(conversation.read_seq, message.seq) }),
    unread: isOwn ? 0 : conversation.unread + 1,
    own: own && {
      ...own,
      unread_mentions: isOwn ? 0 : mentions + (isMentioned(message.mentions ?? [], me ?? null) ? 1 : 0)
    }
  };
}
