import type { Id } from '#lib/api/types.ts';
import type { App } from '#lib/app/app.ts';
import { persistentStorage } from '#lib/util/browser-storage.ts';
import { conversationName } from '#lib/features/conversations/conversation-name.ts';
import { isChannel } from '#lib/features/conversations/kinds.ts';
import { confirmed } from '#lib/ui/confirm/index.ts';
import { m } from '#lib/paraglide/messages.js';
import { localStoresOf, unsentOf, type Unsent } from './clear-local-data.ts';

/** Signs out. If unsent content would be lost, the user is asked first; returns false if they decide to stay. */
export async function signOut(
  app: Pick<App, 'api' | 'session' | 'conversations'>,
  places = localStoresOf(persistentStorage)
): Promise<boolean> {
  const { session } = app;
  const unsent = await unsentOf(session.user.id, places);
  const lost = await unsavedData(unsent, (id) => nameOf(app, id));
  if (lost !== '' && !(await confirmed({ title: m.sign_out_title(), body: lost, action: m.sign_out() }))) return false;
  await session.signOut();
  return true;
}

/** Describes the content that signing out would lose; empty if none. */
export async function unsavedData(
  { messages, notes, drafts }: Unsent,
  nameOf: (conversationId: Id) => Promise<string>
): Promise<string> {
  const said: string[] = [];
  const [only] = messages;
  if (messages.length > 1) said.push(m.sign_out_messages({ count: messages.length }));
  else if (only) {
    const name = await nameOf(only.conversation_id);
    said.push(name === '' ? m.sign_out_message() : m.sign_out_message_in({ name }));
  }
  if (notes > 0) said.push(notes === 1 ? m.sign_out_note() : m.sign_out_notes({ count: notes }));
  if (drafts > 0) said.push(drafts === 1 ? m.sign_out_draft() : m.sign_out_drafts({ count: drafts }));
  return said.length === 0 ? '' : [...said, m.sign_out_deleted()].join(' ');
}

/** Title of a conversation as the sidebar shows it; empty if it can't be loaded now. */
async function nameOf({ api, conversations, session }: Pick<App, 'api' | 'conversations' | 'session'>, id: Id) {
  try {
    const conversation = conversations.get(id) ?? (await api.get(`/conversations/${id}`));
    const name = conversationName(conversation, session.account?.id);
    return isChannel(conversation) ? `#${name}` : name;
  } catch {
    return '';
  }
}
