/** Actions on members. They are called from a menu that closes before the response arrives, so they can't depend on its component. */
import { goto } from '#lib/util/navigation.ts';
import type { Conversation, Member } from '#lib/api/types.ts';
import { attempt } from '#lib/ui/attempt.ts';
import { confirmed } from '#lib/ui/confirm/index.ts';
import { m } from '#lib/paraglide/messages.js';
import type { ConversationsStore } from '../conversations.svelte.ts';

export async function messageMember(
  conversations: ConversationsStore,
  { workspace_id }: Conversation,
  { user_id }: Member
): Promise<void> {
  await attempt(async () => {
    const { id } = await conversations.create({ kind: 'single', member_ids: [user_id], workspace_id });
    await goto(`/c/${id}`);
  });
}

export async function setAdmin(
  conversations: ConversationsStore,
  { id }: Conversation,
  { user_id, display_name: name }: Member,
  isAdmin: boolean
): Promise<void> {
  const done = isAdmin ? m.member_admin_done({ name }) : m.member_admin_ended({ name });
  await attempt(() => conversations.members.setRole(id, user_id, isAdmin ? 'admin' : 'member'), done);
}

export async function makeOwner(
  conversations: ConversationsStore,
  { id }: Conversation,
  { user_id, display_name: name }: Member
): Promise<void> {
  const isSure = await confirmed({
    title: m.member_owner_title({ name }),
    body: m.member_owner_body(),
    action: m.member_owner_go()
  });
  if (isSure) await attempt(() => conversations.members.setRole(id, user_id, 'owner'));
}

export async function removeMember(
  conversations: ConversationsStore,
  { id }: Conversation,
  { user_id, display_name: name }: Member
): Promise<void> {
  const isSure = await confirmed({
    title: m.member_remove_title({ name }),
    body: m.member_remove_body(),
    action: m.remove()
  });
  if (isSure) await attempt(() => conversations.members.remove(id, user_id));
}
