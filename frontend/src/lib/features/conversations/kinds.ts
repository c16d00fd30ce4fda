/** Capabilities by kind of conversation. No other code checks the kind itself. */
import type { Conversation, ConversationCapabilities, ConversationKind, WorkspaceRole } from '#lib/api/types.ts';
import known from './kinds.json';

/** Conversation, or something of which only the kind is known. */
export interface OfKind {
  readonly kind: ConversationKind;
  readonly capabilities?: ConversationCapabilities;
}

/** Capabilities as the server states them, or else by kind from the table that the server uses too. An unknown kind counts as a group. */
function capabilitiesOf({ kind, capabilities }: OfKind): ConversationCapabilities {
  return capabilities ?? (known as Partial<typeof known>)[kind] ?? known.group;
}

const asked =
  (capability: keyof ConversationCapabilities) =>
  (place: OfKind | undefined): boolean =>
    place !== undefined && capabilitiesOf(place)[capability];

/** Whether this is a direct conversation, which is shown with the name and avatar of the other person. */
export const isPair = asked('is_pair');
export const isPersonal = asked('is_personal');
/** Whether all members of the workspace except guests can see it. */
export const isPublic = asked('is_open');
export const isChannel = asked('is_channel');
/** Whether this is a chat with an assistant, which answers every message. */
export const isAssistantChat = asked('asks_every_message');

/** Whether members can join and leave. */
export function hasChangingMembers(place: OfKind | undefined): boolean {
  return place !== undefined && !capabilitiesOf(place).fixed_members;
}

/** Capabilities after a change of kind. Events contain only the kind, so those of the new kind come from the table. */
export function capabilitiesAfterConversion(kind: ConversationKind, before: OfKind): ConversationCapabilities {
  return capabilitiesOf(kind === before.kind ? before : { kind });
}

/** Whether the user may mention everyone. Channels may reserve that for admins. */
export function mayMentionAll(conversation: Conversation, workspaceRole?: WorkspaceRole): boolean {
  if (!hasChangingMembers(conversation)) return false;
  if (!isChannel(conversation)) return true;
  return conversation.mention_all !== 'admins' || mayManage(conversation, workspaceRole);
}

/** Whether the user may manage the conversation: its owner and admins may, and for channels those of the workspace too. */
export function mayManage(conversation: Conversation, workspaceRole?: WorkspaceRole): boolean {
  const role = conversation.own?.role;
  return role === 'owner' || role === 'admin' || (isChannel(conversation) && isAdmin(workspaceRole));
}

/** Whether the user has the rights of the owner: the owner has, and for channels also the owner and admins of the workspace. */
export function hasOwnerRights(conversation: Conversation, workspaceRole?: WorkspaceRole): boolean {
  return conversation.own?.role === 'owner' || (isChannel(conversation) && isAdmin(workspaceRole));
}

const isAdmin = (role?: WorkspaceRole) => role === 'owner' || role === 'admin';

/** Reason why the user can't write in a conversation. */
export type Closed = 'archived' | 'not_joined' | 'admins_only' | 'no_assistant';

export function closedReason(conversation: Conversation, workspaceRole?: WorkspaceRole): Closed | null {
  if (conversation.archived_at) return 'archived';
  if (conversation.own === null) return 'not_joined';
  // The chat has no assistant any more, because that was deleted.
  if (isAssistantChat(conversation) && !conversation.assistants?.length) return 'no_assistant';
  return conversation.posting === 'admins' && !mayManage(conversation, workspaceRole) ? 'admins_only' : null;
}

/** Whether the user has muted the conversation at time `now` (milliseconds since 1970). The server uses the same rule. */
export function isMuted({ own }: Conversation, now: number): boolean {
  return !!own?.muted_until && Date.parse(own.muted_until) > now;
}

/** Whether the conversation counts as unread. A muted one does only if it has unread mentions of the user. */
export function isWaiting(conversation: Conversation, now: number): boolean {
  return isMuted(conversation, now) ? mentionsIn(conversation) > 0 : conversation.unread > 0;
}

export function mentionsIn({ own }: Conversation): number {
  return own?.unread_mentions ?? 0;
}
