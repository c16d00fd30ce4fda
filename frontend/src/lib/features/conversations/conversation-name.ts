/** Conversation names and participants. */
import type { Conversation, Id, Member } from '#lib/api/types.ts';
import { isAssistantChat, isPair } from './kinds.ts';
import { m } from '#lib/paraglide/messages.js';

/** Members except the reader. */
export function othersIn(conversation: Conversation, me: Id | undefined): Member[] {
  return (conversation.members ?? []).filter((member) => member.user_id !== me);
}

/** Whether all members are loaded; responses of large conversations contain only the first. */
export function knowsEverybody({ members, member_count }: Conversation): boolean {
  return (members?.length ?? 0) >= member_count;
}

/** Title or the names of the others; empty until members are loaded. */
export function conversationName(conversation: Conversation, me: Id | undefined): string {
  if (conversation.title) return conversation.title;
  const people = othersIn(conversation, me).map((member) => member.display_name);
  const assistants = (conversation.assistants ?? []).map((assistant) => assistant.name);
  const names = isAssistantChat(conversation) ? assistants : [...people, ...assistants];
  if (names.length === 0 && isPair(conversation) && conversation.members) return whoLeft(conversation, me);
  return names.join(', ');
}

/** The other person has left: use the sender of the last message. */
function whoLeft({ last_message }: Conversation, me: Id | undefined): string {
  const sender = last_message?.sender;
  if (sender?.kind === 'deleted') return m.actor_gone();
  return sender && sender.id !== me ? sender.name : m.person_left();
}
