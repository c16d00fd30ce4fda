/** What follows from a conversation's kind. */
import type { Conversation, ConversationKind, WorkspaceRole } from '#lib/api/types.ts';

export function isChannel(kind: ConversationKind | undefined): boolean {
  return kind === 'public_channel' || kind === 'private_channel';
}

/** Whether one may call everybody in it at once. A channel may keep that to those who manage it. */
export function mayCallAll(conversation: Conversation, workspaceRole?: WorkspaceRole): boolean {
  if (conversation.kind === 'group') return true;
  if (!isChannel(conversation.kind)) return false;
  return conversation.mention_all !== 'admins' || mayManage(conversation, workspaceRole);
}

/** Its owner and admins; in a channel those of the workspace, too. */
export function mayManage({ kind, own }: Conversation, workspaceRole?: WorkspaceRole): boolean {
  return own?.role === 'owner' || own?.role === 'admin' || (isChannel(kind) && isAdmin(workspaceRole));
}

/** Its owner; in a channel the owner and admins of the workspace, too. */
export function mayOwn({ kind, own }: Conversation, workspaceRole?: WorkspaceRole): boolean {
  return own?.role === 'owner' || (isChannel(kind) && isAdmin(workspaceRole));
}

const isAdmin = (role?: WorkspaceRole) => role === 'owner' || role === 'admin';

/** Why nobody, or not this reader, can write in it. */
export type Closed = 'archived' | 'not_joined' | 'admins_only' | 'no_assistant';

export function closedBy(conversation: Conversation, workspaceRole?: WorkspaceRole): Closed | null {
  if (conversation.archived_at) return 'archived';
  if (conversation.own === null) return 'not_joined';
  // Its assistant was deleted.
  if (conversation.kind === 'assistant' && !conversation.assistants?.length) return 'no_assistant';
  return conversation.posting === 'admins' && !mayManage(conversation, workspaceRole) ? 'admins_only' : null;
}

/** As the server: it stays muted until that moment. */
export function isMuted({ own }: Conversation, now: number): boolean {
  return !!own?.muted_until && Date.parse(own.muted_until) > now;
}

/** Something in it waits for the reader: anything new, or, where it is muted, only what names them. */
export function isWaiting(conversation: Conversation, now: number): boolean {
  return isMuted(conversation, now) ? mentionsIn(conversation) > 0 : conversation.unread > 0;
}

export function mentionsIn({ own }: Conversation): number {
  return own?.unread_mentions ?? 0;
}
