import type { Id } from '#lib/api/types.ts';
import { safeStorage, type App } from '#lib/app.ts';
import { conversationName } from '#lib/chat/conversation-name.ts';
import { isChannel } from '#lib/chat/kinds.ts';
import { confirmed } from '#lib/components/ui/confirm/index.ts';
import { m } from '#lib/paraglide/messages.js';
import { placesOf, unsentOf, type Unsent } from './left-behind.ts';

/** Signs out; where something isn't sent that goes with it, one is asked first. False: one stays. */
export async function signOut(
  app: Pick<App, 'api' | 'session' | 'conversations'>,
  places = placesOf(safeStorage())
): Promise<boolean> {
  const { session } = app;
  const unsent = await unsentOf(session.user.id, places);
  const lost = await lostBy(unsent, (id) => nameOf(app, id));
  if (lost !== '' && !(await confirmed({ title: m.leave_title(), body: lost, action: m.sign_out() }))) return false;
  await session.signOut();
  return true;
}

/** What is lost by signing out, in words; empty: nothing is. */
export async function lostBy(
  { messages, notes, drafts }: Unsent,
  nameOf: (conversationId: Id) => Promise<string>
): Promise<string> {
  const said: string[] = [];
  const [only] = messages;
  if (messages.length > 1) said.push(m.leave_messages({ count: messages.length }));
  else if (only) {
    const name = await nameOf(only.conversation_id);
    said.push(name === '' ? m.leave_message() : m.leave_message_in({ name }));
  }
  if (notes > 0) said.push(notes === 1 ? m.leave_note() : m.leave_notes({ count: notes }));
  if (drafts > 0) said.push(drafts === 1 ? m.leave_draft() : m.leave_drafts({ count: drafts }));
  return said.length === 0 ? '' : [...said, m.leave_deleted()].join(' ');
}

/** As it is called in the list; empty where that can't be read now. */
async function nameOf({ api, conversations, session }: Pick<App, 'api' | 'conversations' | 'session'>, id: Id) {
  try {
    const conversation = conversations.get(id) ?? (await api.get(`/conversations/${id}`));
    const name = conversationName(conversation, session.account?.id);
    return isChannel(conversation) ? `#${name}` : name;
  } catch {
    return '';
  }
}
