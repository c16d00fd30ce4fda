import type { FoundConversation } from './api.ts';
import type { ConversationsStore } from '#lib/features/conversations/conversations.svelte.ts';
import { nameIn } from '#lib/util/enum-lookup.ts';
import { m } from '#lib/paraglide/messages.js';

const KINDS = {
  single: m.kind_single,
  group: m.kind_group,
  assistant: m.kind_assistant,
  public_channel: m.kind_public_channel,
  private_channel: m.kind_private_channel
};

/** Name of the conversation in which a message was found. Without a title, the names of its known members. */
export function placeName(
  place: FoundConversation | null | undefined,
  conversations: Pick<ConversationsStore, 'get' | 'nameOf'>
): string {
  if (!place) return '';
  const known = conversations.get(place.id);
  return (known && conversations.nameOf(known)) || place.title || nameIn(KINDS, place.kind);
}

export const kindName = (kind: FoundConversation['kind']): string => nameIn(KINDS, kind);
