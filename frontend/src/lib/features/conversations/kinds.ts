/** Capabilities by kind of conversation; the only place that checks the kind. */
import type { Conversation, ConversationCapabilities, ConversationKind, WorkspaceRole } from '#lib/api/types.ts';
import known from './kinds.json';

/** Conversation, or a place of which only the kind is known. */
export interface OfKind {
  readonly kind: ConversationKind;
  readonly capabilities?: ConversationCapabilities;
}

/** Capabilities from the server, or from the same table by kind. Unknown kinds count as groups. */
function capabilitiesOf({ kind, capabilities }: OfKind): ConversationCapabilities {
  return capabilities ?? (known as Partial<typeof known>)[kind] ?? known.group;
}

const asked =
  (capability: keyof ConversationCapabilities) =>
  (place: OfKind | undefined): boolean =>
    place !== undefined && capabilitiesOf(place)[capability];

/** Direct conversation, shown with the other person's name and avatar. */
export const isPair = asked('is_pair');
export const isPersonal = asked('is_personal');
/** Public to all workspace members except guests. */
export const isPublic = asked('is_open');
export const isChannel = asked('is_channel');
/** Assistant chat. */
export const isAssistantChat = asked('asks_every_message');

/** Membership changes over time. */
export function hasChangingMembers(place: OfKind | undefined): boolean {
  return place !== undefined && !capabilitiesOf(place).fixed_members;
}

/** Capabilities after a change of kind, because events contain only the kind. */
export function capabilitiesAs(kind: ConversationKind, before: OfKind): ConversationCapabilities {
  return capabilitiesOf(kind === before.kind ? before : { kind });
}

/** Whether the user may mention everyone; channels may restrict it to admins. */
export function mayCallAll(conversation: Conversation, workspaceRole?: WorkspaceRole): boolean {
  if (!hasChangingMembers(conversation)) return false;
  if (!isChannel(conversation)) return true;
  return conversation.mention_all !== 'admins' || mayManage(conversation, workspaceRole);
}

/** Owner and admins; for channels also those of the workspace. */
export function mayManage(conversation: Conversation, workspaceRole?: WorkspaceRole): boolean {
  const role = conversation.own?.role;
  return role === 'owner' || role === 'admin' || (isChannel(conversation) && isAdmin(workspaceRole));
}

/** Owner; for channels also owner and admins of the workspace. */
export function mayOwn(conversation: Conversation, workspaceRole?: WorkspaceRole): boolean {
  return conversation.own?.role === 'owner' || (isChannel(conversation) && isAdmin(workspaceRole));
}

const isAdmin = (role?: WorkspaceRole) => role === 'owner' || role === 'admin';

/** Reason why this reader can't write. */
export type Closed = 'archived' | 'not_joined' | 'admins_only' | 'no_assistant';

export function closedBy(conversation: Conversation, workspaceRole?: WorkspaceRole): Closed | null {
  if (conversation.archived_at) return 'archived';
  if (conversation.own === null) return 'not_joined';
  // The assistant was deleted.
  if (isAssistantChat(conversation) && !conversation.assistants?.length) return 'no_assistant';
  return conversation.posting === 'admins' && !mayManage(conversation, workspaceRole) ? 'admins_only' : null;
}

/** Same rule as the server's. */
export function isMuted({ own }: Conversation, now: number): boolean {
  return !!own?.muted_until && Date.parse(own.muted_until) > now;
}

/** Whether it counts as unread; muted conversations only with mentions. */
export function isWaiting(conversation: Conversation, now: number): boolean {
  return isMuted(conversation, now) ? mentionsIn(conversation) > 0 : conversation.unread > 0;
}

export function mentionsIn({ own }: Conversation): number {
  return own?.unread_mentions ?? 0;
}
