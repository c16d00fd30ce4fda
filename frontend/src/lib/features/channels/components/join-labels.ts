import type { Conversation, WorkspaceRole } from '#lib/api/types.ts';
import { mayManage } from '#lib/features/conversations/kinds.ts';
import { m } from '#lib/paraglide/messages.js';

/** What joining a channel changes for whoever joins it. */
export function joinAbout(channel: Conversation, role: WorkspaceRole | undefined): string {
  const isToRead = channel.posting === 'admins' && !mayManage(channel, role);
  return isToRead ? m.channel_join_about_admins() : m.channel_join_about();
}
