import type { Conversation, MarkedUnread } from '#lib/api/types.ts';

/** Returns the conversation as it is after the reader has read up to `seq`. `no` is the number of the message there, if it is known. */
export function readUpTo(conversation: Conversation, seq: number, no?: number): Conversation {
  const { last_message: last, own, read_seq, unread } = conversation;
  if (!own || (unread === 0 && read_seq >= seq)) return conversation;
  const isAtEnd = seq >= (last?.seq ?? 0);
  const left = last && no !== undefined ? last.no - no : unread;
  return {
    ...conversation,
    read_seq: Math.max(read_seq, seq),
    unread: isAtEnd ? 0 : Math.min(unread, left),
    own: isAtEnd ? { ...own, unread_mentions: 0 } : own
  };
}

/** Returns the conversation as it is after the reader has marked messages unread. Only this moves a read position back. */
export function markedUnread(
  conversation: Conversation,
  { read_seq, unread, unread_mentions }: MarkedUnread
): Conversation {
  if (!conversation.own) return conversation;
  return { ...conversation, read_seq, unread, own: { ...conversation.own, read_seq, unread, unread_mentions } };
}
