import type { DurableFrame, Id, ServerFrame } from '#lib/api/types.ts';

const DURABLE: Record<DurableFrame['type'], true> = {
  'message.created': true,
  'message.updated': true,
  'message.deleted': true,
  'message.completed': true,
  'message.failed': true,
  'message.pinned': true,
  'message.previews': true,
  'message.unpinned': true,
  'reaction.added': true,
  'reaction.removed': true,
  'poll.updated': true,
  'member.added': true,
  'member.removed': true,
  'member.updated': true,
  'conversation.updated': true,
  'conversation.archived': true,
  'conversation.unarchived': true,
  'conversation.deleted': true
};

/** Whether a frame is an event with a sequence number in the log of a conversation. */
export function isDurable(frame: ServerFrame): frame is DurableFrame {
  return frame.type in DURABLE && 'seq' in frame.payload && frame.payload.seq !== undefined;
}

/** Id of the conversation that a frame is about; null or undefined if it isn't about one. */
export function conversationOf(frame: ServerFrame): Id | null | undefined {
  return frame.type !== 'pong' && 'conversation_id' in frame.payload ? frame.payload.conversation_id : undefined;
}
