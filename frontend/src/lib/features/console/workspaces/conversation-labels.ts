import type { AdminConversation } from '../api.ts';
import type { ConversationKind } from '#lib/api/types.ts';
import { nameIn } from '#lib/util/enum-lookup.ts';
import { m } from '#lib/paraglide/messages.js';

export const CONVERSATION_KINDS: Record<ConversationKind, () => string> = {
  public_channel: m.kind_public_channel,
  private_channel: m.kind_private_channel,
  group: m.kind_group,
  single: m.kind_single,
  assistant: m.kind_assistant
};

/** Title of a conversation, or its kind if it has none. */
export function conversationName({ title, kind }: AdminConversation): string {
  return title ?? nameIn(CONVERSATION_KINDS, kind);
}

/** Text below the name: the kind, or the id if the name is the kind. */
export function conversationAbout({ title, kind, id }: AdminConversation): string {
  return title === null ? id : nameIn(CONVERSATION_KINDS, kind);
}
