/** Actions on whole conversations, for the menu and the details panel. */
import { page } from '$app/state';
import { goto } from '#lib/util/navigation.ts';
import type { Conversation, WorkspaceRole } from '#lib/api/types.ts';
import type { App } from '#lib/app/app.ts';
import { ChannelsStore } from '#lib/features/channels/channels.svelte.ts';
import { hasChangingMembers, isChannel, isPair, isPersonal, isPublic, mayManage } from '../kinds.ts';
import { attempt } from '#lib/ui/attempt.ts';
import { confirmed } from '#lib/ui/confirm/index.ts';
import { m } from '#lib/paraglide/messages.js';

type Parts = Pick<App, 'api' | 'conversations' | 'shell'>;

export const isManager = ({ own }: Conversation): boolean => own?.role === 'owner' || own?.role === 'admin';
export const mayRename = (conversation: Conversation): boolean =>
  isPersonal(conversation) || (hasChangingMembers(conversation) && !isChannel(conversation) && isManager(conversation));
export const mayLeave = (conversation: Conversation): boolean =>
  hasChangingMembers(conversation) && (!isChannel(conversation) || conversation.own !== null);
export const mayDelete = (conversation: Conversation): boolean =>
  !isPair(conversation) && !conversation.is_default && conversation.own?.role === 'owner';

/** Number of members up to which every member of a group may export it. */
const SMALL_GROUP = 20;

/**
 * Whether the user may export the conversation. Channels and large groups can be exported only by members who may manage them. The server uses the
 * same rule.
 */
export function mayExport(conversation: Conversation, workspaceRole?: WorkspaceRole): boolean {
  const isEverybodys = !isChannel(conversation) && conversation.member_count <= SMALL_GROUP;
  return conversation.own !== null && (isEverybodys || mayManage(conversation, workspaceRole));
}

export async function leaveConversation(app: Parts, conversation: Conversation): Promise<void> {
  const name = app.conversations.nameOf(conversation);
  const isSure = await confirmed(
    isChannel(conversation)
      ? {
          title: m.channel_leave_title({ name }),
          body: isPublic(conversation) ? m.channel_leave_public() : m.channel_leave_private(),
          action: m.channel_leave()
        }
      : { title: m.leave_title({ name }), body: m.leave_body(), action: m.leave() }
  );
  if (isSure && (await attempt(() => app.conversations.leave(conversation.id)))) await leavePage(app, conversation);
}

/** Archives a chat with an assistant, or restores it. */
export async function archiveChat(app: Parts, conversation: Conversation): Promise<void> {
  const channels = new ChannelsStore(app.api, app.conversations);
  const name = app.conversations.nameOf(conversation) || m.conversation_unnamed();
  if (conversation.archived_at)
    await attempt(() => channels.unarchive(conversation.id), m.channel_unarchived_done({ name }));
  else await attempt(() => channels.archive(conversation.id), m.channel_archived_done({ name }));
}

/** Deletes a conversation once the user has confirmed it; returns whether that was done. */
export async function deleteConversation(app: Parts, conversation: Conversation): Promise<boolean> {
  const isSure = await confirmed({
    title: m.delete_title({ name: app.conversations.nameOf(conversation) }),
    body: isPersonal(conversation) ? m.delete_own_body() : m.delete_body(),
    action: m.delete_conversation()
  });
  if (!isSure) return false;
  const isDone = await attempt(() => app.conversations.remove(conversation.id), m.conversation_deleted());
  if (isDone) await leavePage(app, conversation);
  return isDone;
}

/** Leaves the page of a conversation if that is open. */
async function leavePage({ shell }: Pick<Parts, 'shell'>, { id }: Conversation): Promise<void> {
  if (page.params.id !== id) return;
  shell.closePanel();
  await goto('/');
}
