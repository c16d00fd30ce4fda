/** Conversation names and participants. */
import type { Conversation, Id, Member } from '#lib/api/types.ts';
import { isAssistantChat, isPair } from './kinds.ts';
import { m } from '#lib/paraglide/messages.js';

/** Members of the conversation other than the reader. */
export function othersIn(conversation: Conversation, me: Id | undefined): Member[] {
  return (conversation.members ?? []).filter((member) => member.user_id !== me);
}

/** Whether all members are loaded. Responses about large conversations contain only the first ones. */
export function knowsEverybody({ members, member_count }: Conversation): boolean {
  return (members?.length ?? 0) >= member_count;
}

/** Title of a conversation, or the names of its other members. Empty if there is no title and the members aren't loaded. */
export function conversationName(conversation: Conversation, me: Id | undefined): string {
  if (conversation.title) return conversation.title;
  const people = othersIn(conversation, me).map((member) => member.display_name);
  const assistants = (conversation.assistants ?? []).map((assistant) => assistant.name);
  const names = isAssistantChat(conversation) ? assistants : [...people, ...assistants];
  if (names.length === 0 && isPair(conversation) && conversation.members) return departedMemberName(conversation, me);
  return names.join(', ');
}

/** Name of the other person of a direct conversation who has left, taken from the last message. */
function departedMemberName({ last_message }: Conversation, me: Id | undefined): string {
  const sender = last_message?.sender;
  if (sender?.kind === 'deleted') return m.actor_gone();
  return sender && sender.id !== me ? sender.name : m.person_left();
}
