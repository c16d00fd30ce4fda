import type { Conversation, WorkspaceRole } from '#lib/api/types.ts';
import { mayManage } from '#lib/features/conversations/kinds.ts';
import { m } from '#lib/paraglide/messages.js';

/** Explains what joining the channel means for the user. */
export function joinAbout(channel: Conversation, role: WorkspaceRole | undefined): string {
  const isToRead = channel.posting === 'admins' && !mayManage(channel, role);
  return isToRead ? m.channel_join_about_admins() : m.channel_join_about();
}
