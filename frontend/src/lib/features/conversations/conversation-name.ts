/** What a conversation is called, and whom it is with. */
import type { Conversation, Id, Member } from '#lib/api/types.ts';
import { isAssistantChat, isPair } from './kinds.ts';
import { m } from '#lib/paraglide/messages.js';

/** The people in it but oneself. */
export function othersIn(conversation: Conversation, me: Id | undefined): Member[] {
  return (conversation.members ?? []).filter((member) => member.user_id !== me);
}

/** Whether all its people are named here; of a large one answers name only the first. */
export function knowsEverybody({ members, member_count }: Conversation): boolean {
  return (members?.length ?? 0) >= member_count;
}

/** Its title, else the names of those it is with. Empty only for a moment, while the members are not known. */
export function conversationName(conversation: Conversation, me: Id | undefined): string {
  if (conversation.title) return conversation.title;
  const people = othersIn(conversation, me).map((member) => member.display_name);
  const assistants = (conversation.assistants ?? []).map((assistant) => assistant.name);
  const names = isAssistantChat(conversation) ? assistants : [...people, ...assistants];
  if (names.length === 0 && isPair(conversation) && conversation.members) return whoLeft(conversation, me);
  return names.join(', ');
}

/** The other of two is gone: the last message tells who it was, if it was theirs. */
function whoLeft({ last_message }: Conversation, me: Id | undefined): string {
  const sender = last_message?.sender;
  if (sender?.kind === 'deleted') return m.actor_gone();
  return sender && sender.id !== me ? sender.name : m.person_left();
}
