/** Objects of the API for tests of components. */
import { newId } from '#lib/api/client.ts';
import type { Upload } from '#lib/api/files.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';
import type { Account, Conversation, Member, Message, Own, Page, Sender, User, Workspace } from '#lib/api/types.ts';
import { message } from '#lib/features/conversations/testing.ts';
import { RowBuilder, type MessageView, type Row } from '#lib/features/conversations/rows.ts';

/** Names that test the layout: longer than a line, and without a space at which it could be wrapped. */
export const LONG_NAME = 'Maximiliane Sophie-Charlotte von Hohenstein-Wittelsbach zu Oberammergau';
export const UNBROKEN = 'Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenverordnung'.repeat(3);
/** “Peace be upon you, Layla”: text that is written from right to left. */
export const ARABIC = 'السلام عليكم يا ليلى';

export const ME = '00000000-0000-4000-8000-000000000001';
export const BEN = '00000000-0000-4000-8000-000000000002';
export const WORKSPACE = '00000000-0000-4000-8000-0000000000a1';
export const CONVERSATION = '00000000-0000-4000-8000-0000000000c1';

/** Creation time of the objects: 11:00 in the time zone of the tests. */
export const CREATED_AT = '2024-11-20T10:00:00.000Z';

export function pageOf<T>(items: readonly T[], total = items.length): Page<T> {
  return { items: [...items], page: 1, page_size: 50, total } as Page<T>;
}

export const userOf = (display_name: string, more: Partial<User> = {}): User => ({
  id: newId(),
  display_name,
  role: 'user',
  timezone: null,
  title: null,
  pronouns: null,
  created_at: CREATED_AT,
  ...more
});

/** Account of the user. */
export const accountOf = (more: Partial<Account> = {}): Account => ({
  id: ME,
  display_name: 'Anna Berg',
  role: 'user',
  timezone: null,
  title: null,
  pronouns: null,
  created_at: CREATED_AT,
  email: 'anna@example.com',
  ...more
});

export const workspaceOf = (more: Partial<Workspace> = {}): Workspace => ({
  id: WORKSPACE,
  name: 'Harbour',
  personal: false,
  shared: false,
  role: 'owner',
  ...more
});

export const memberOf = (display_name: string, more: Partial<Member> = {}): Member => ({
  user_id: newId(),
  display_name,
  role: 'member',
  read_seq: 0,
  delivered_seq: 0,
  joined_at: CREATED_AT,
  ...more
});

const OWN: Own = {
  role: 'member',
  read_seq: 0,
  unread: 0,
  unread_mentions: 0,
  notify: 'all',
  muted_until: null,
  pinned: false,
  section_id: null
};

/** Direct conversation with Ben. */
export const conversationOf = ({
  own,
  ...more
}: Partial<Omit<Conversation, 'own'>> & { own?: Partial<Own> | null } = {}): Conversation => ({
  id: CONVERSATION,
  kind: 'single',
  workspace_id: WORKSPACE,
  title: null,
  topic: null,
  last_seq: 0,
  unread: 0,
  read_seq: 0,
  own: own === null ? null : { ...OWN, ...own },
  posting: 'everyone',
  mention_all: 'everyone',
  history: 'all',
  is_default: false,
  archived_at: null,
  member_count: 2,
  members: [memberOf('Anna Berg', { user_id: ME }), memberOf('Ben Okafor', { user_id: BEN })],
  created_at: CREATED_AT,
  last_activity_at: CREATED_AT,
  last_message: null,
  ...more
});

const FROM_BEN: Sender = { kind: 'user', id: BEN, name: 'Ben Okafor' };

/** Message of Ben. */
export const messageOf = (content: string, more: Partial<Message> = {}): Message =>
  message(1, {
    id: newId(),
    conversation_id: CONVERSATION,
    sender: FROM_BEN,
    content,
    created_at: CREATED_AT,
    ...more
  });

/** Row of the message list as the user sees it. */
export function rowOf(message: Message): Row {
  const me: Sender = { kind: 'user', id: ME, name: 'Anna Berg' };
  const [row] = new RowBuilder().build([{ message, version: 0, reason: null }], [], { me, unreadFrom: null });
  if (!row) throw new Error('the message has no row');
  return row;
}

export const viewOf = (message: Message): MessageView => rowOf(message).view;

export const uploadOf = (name: string, more: Partial<Upload> = {}): Upload =>
  ({
    id: newId(),
    name,
    kind: 'file',
    media_type: 'text/plain',
    size: 2048,
    status: 'ready',
    created_at: CREATED_AT,
    ...more
  }) as Upload;

/** List of the server in the state after a request with this result. */
export async function listingOf<T>(request: () => Promise<Page<T>>): Promise<PagedResource<T>> {
  const listing = new PagedResource<T>(request);
  await listing.load();
  return listing;
}
