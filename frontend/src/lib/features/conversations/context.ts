import { createContext, onDestroy } from 'svelte';
import type { App } from '#lib/app/app.ts';
import { painted } from '#lib/util/first-paint.ts';
import { AttachmentsStore } from '#lib/features/files/attachments.svelte.ts';
import type { DraftSync } from './draft-sync.svelte.ts';
import { DraftsStore } from './drafts.svelte.ts';
import { MessagesStore } from './stores/messages.svelte.ts';
import { PeopleStore } from '#lib/features/people/people.svelte.ts';
import { TypingStore } from './stores/typing.svelte.ts';
import { ComparisonStore } from './logic/comparing.svelte.ts';
import { useDeliveryReports } from './logic/delivery-reports.svelte.ts';
import { BrowserOutboxStorage } from '#lib/realtime/outbox-storage.ts';
import { persistentStorage } from '#lib/util/browser-storage.ts';

/** Stores of conversations, which live from sign-in to sign-out. */
export interface ConversationContext {
  messages: MessagesStore;
  drafts: DraftsStore;
  typing: TypingStore;
  people: PeopleStore;
  files: AttachmentsStore;
  comparing: ComparisonStore;
}

const [useChat, setChat] = createContext<ConversationContext>();
export { useChat };

export function provideConversation({ api, connection, session, conversations, authPolicy }: App): ConversationContext {
  const me = session.user;
  const { id } = me;
  const people = new PeopleStore(api);
  const filesChannel = new BroadcastChannel('natter.files');
  const files = new AttachmentsStore(api, authPolicy, filesChannel);
  files.open(id);
  const leave = connection.onConnect(() => files.resume());
  const hearNoMore = connection.on((frame) => {
    if (frame.type === 'user.changed') people.applyChange(frame.payload);
  });
  const channel = new BroadcastChannel('natter.outbox');
  const messages = new MessagesStore(api, connection, people, files, new BrowserOutboxStorage(), channel);
  messages.open({
    kind: 'user',
    id,
    get name() {
      return session.nameOf(me);
    }
  });
  const drafts = new DraftsStore(persistentStorage);
  drafts.open(id);
  messages.isBegun = (key) => drafts.get(key) !== '';
  for (const [key, text] of drafts.all()) if (!key.includes('/')) conversations.drafts.set(key, text);
  let sync: DraftSync | undefined;
  const bringSync = connection.onConnect(async () => {
    // If the import fails, it is tried again at the next connection.
    const brought = await painted.then(() => import('./draft-sync.svelte.ts')).catch(() => undefined);
    if (!brought) return;
    const show = (key: string, text: string) => conversations.drafts.set(key, text);
    sync ??= new brought.DraftSync(api, connection, drafts, id, show, persistentStorage);
    await sync.exchange();
  });
  const settle = () => drafts.flush();
  addEventListener('pagehide', settle);
  const typing = new TypingStore(connection);
  useDeliveryReports(id, conversations, messages);
  onDestroy(() => {
    messages.close();
    channel.close();
    typing.close();
    leave();
    hearNoMore();
    bringSync();
    sync?.close();
    removeEventListener('pagehide', settle);
    drafts.close();
    files.close();
    filesChannel.close();
  });
  return setChat({ messages, drafts, typing, people, files, comparing: new ComparisonStore() });
}
