import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Api, ApiError } from '#lib/api/client.ts';
import type { Conversation, HelloPayload, Member, Message, Own, ServerFrame } from '#lib/api/types.ts';
import type { Connection } from '#lib/realtime/connection.svelte.ts';
import { ConversationsStore } from './conversations.svelte.ts';
import { PresenceStore } from '#lib/features/people/presence.svelte.ts';
import type { SectionsStore } from './sections.svelte.ts';
import type { SessionStore } from '#lib/features/auth/session.svelte.ts';
import { SidebarStore } from './sidebar.svelte.ts';

const member = (user_id: string, display_name: string): Member => ({
  user_id,
  display_name,
  role: 'member',
  read_seq: 0,
  delivered_seq: 0,
  joined_at: ''
});

const message = (seq: number, senderId: string, more: Partial<Message> = {}): Message => ({
  id: `m${seq}`,
  conversation_id: 'c1',
  seq,
  no: seq,
  client_id: null,
  sender: { kind: 'user', id: senderId, name: senderId },
  content: `message ${seq}`,
  status: 'complete',
  reply_to: null,
  attachments: [],
  reactions: [],
  edited_at: null,
  deleted_at: null,
  created_at: `2026-11-20T10:00:${String(seq).padStart(2, '0')}.000Z`,
  ...more
});

const own: Own = {
  role: 'member',
  read_seq: 2,
  unread: 1,
  unread_mentions: 0,
  notify: 'all',
  muted_until: null,
  pinned: false,
  section_id: null
};

const conversation = (more: Partial<Conversation> = {}): Conversation => ({
  id: 'c1',
  kind: 'single',
  workspace_id: 'w1',
  title: null,
  topic: null,
  last_seq: 3,
  unread: 1,
  read_seq: 2,
  own,
  posting: 'everyone',
  mention_all: 'everyone',
  history: 'all',
  is_default: false,
  archived_at: null,
  member_count: 2,
  last_message: message(3, 'mai'),
  members: [member('me', 'Elena'), member('mai', 'Mai Trần')],
  created_at: '2026-11-20T09:00:00.000Z',
  last_activity_at: '2026-11-20T10:00:03.000Z',
  ...more
});

/** Fake server with a list of conversations and single ones. */
class FakeApi extends Api {
  list: Conversation[] = [];
  single = new Map<string, Conversation>();
  /** Members of a large group. */
  people: Member[] = [];
  gate: Promise<void> = Promise.resolve();
  asked: string[] = [];

  override patch<T>(): Promise<T> {
    return Promise.reject(new ApiError(503, 'unavailable', ''));
  }

  override async get<T>(path: string, ..._: unknown[]): Promise<T> {
    this.asked.push(path);
    const answer = path.endsWith('/members')
      ? this.people
      : path === '/conversations'
        ? structuredClone(this.list)
        : this.single.get(path.split('/')[2] ?? '');
    await this.gate;
    if (answer === undefined) throw new ApiError(404, 'not_found', '');
    return (Array.isArray(answer) ? { items: answer, page: 1, page_size: 200, total: answer.length } : answer) as T;
  }
}

let api: FakeApi;
let say: (type: string, payload: object) => void;
let greet: (conversations: HelloPayload['conversations']) => void;
let live: { wasAway: boolean };
let presence: PresenceStore;
let store: ConversationsStore;

beforeEach(() => {
  vi.stubGlobal('document', { visibilityState: 'visible', hasFocus: () => true });
  api = new FakeApi();
  say = () => undefined;
  live = { wasAway: false };
  const connection = Object.assign(live, {
    on: (handler: (frame: ServerFrame) => void) => {
      const earlier = say;
      say = (type, payload) => {
        earlier?.(type, payload);
        handler({ id: 'f', type, timestamp: '', payload } as ServerFrame);
      };
    },
    onConnect: (handler: (hello: HelloPayload) => void) => {
      greet = (conversations) => handler({ conversations } as HelloPayload);
    },
    notify: () => undefined
  }) as unknown as Connection;
  presence = new PresenceStore(connection, { updatePreferences: () => Promise.resolve() });
  store = new ConversationsStore(api, connection, { account: { id: 'me' } } as SessionStore, presence);
  api.list = [conversation()];
});

const created = (seq: number, senderId: string) =>
  say('message.created', { conversation_id: 'c1', seq, message: message(seq, senderId) });

describe('ConversationsStore', () => {
  it('names a conversation by its title, else by its other members', () => {
    expect(store.nameOf(conversation())).toBe('Mai Trần');
    expect(store.nameOf(conversation({ title: 'Release' }))).toBe('Release');
    const assistants = [{ id: 'a', name: 'Quill', model: null, model_choice: true }];
    expect(store.nameOf(conversation({ kind: 'assistant', members: [member('me', 'Elena')], assistants }))).toBe(
      'Quill'
    );
  });

  it('names a conversation without other members after the last sender, or a former member', () => {
    const alone = { members: [member('me', 'Elena')] };
    const by = (sender: Message['sender']) => conversation({ ...alone, last_message: { ...message(3, 'x'), sender } });
    expect(store.nameOf(by({ kind: 'deleted', id: null, name: 'Deleted user' }))).toBe('Deleted user');
    expect(store.nameOf(by({ kind: 'user', id: 'mai', name: 'Mai Trần' }))).toBe('Mai Trần');
    expect(store.nameOf(by({ kind: 'user', id: 'me', name: 'Elena' }))).toBe('Former member');
    expect(store.nameOf(conversation({ ...alone, last_message: null }))).toBe('Former member');
  });

  it('counts unread messages of others once, until they are seen or the reader writes', async () => {
    await store.load();
    created(4, 'mai');
    created(4, 'mai');
    expect(store.get('c1')).toMatchObject({ unread: 2, last_seq: 4, last_message: { id: 'm4' } });
    created(5, 'me');
    expect(store.get('c1')).toMatchObject({ unread: 0, read_seq: 5 });
    store.open('c1');
    created(6, 'mai');
    expect(store.get('c1')).toMatchObject({ unread: 1, last_message: { id: 'm6' } });
    store.showReadPosition('c1', 6);
    expect(store.get('c1')?.unread).toBe(0);
  });

  it('clears the unread count when the end was read here or on another device', async () => {
    await store.load();
    store.showReadPosition('c1', 2);
    expect(store.get('c1')?.unread).toBe(1);
    say('receipt', { conversation_id: 'c1', user_id: 'mai', read_seq: 3, delivered_seq: 3 });
    expect(store.get('c1')?.unread).toBe(1);
    say('receipt', { conversation_id: 'c1', user_id: 'me', read_seq: 3, delivered_seq: 3 });
    expect(store.get('c1')).toMatchObject({ unread: 0, read_seq: 3 });
  });

  it('reverts a refused setting without reverting later ones', async () => {
    await store.load();
    const pinning = store.changeSettings('c1', { pinned: true });
    expect(store.get('c1')?.own).toMatchObject({ pinned: true });
    const muting = store.changeSettings('c1', { notify: 'none' });
    say('conversation.unread', { conversation_id: 'c1', read_seq: 1, unread: 2, unread_mentions: 1 });
    store.setOwn('c1', { notify: 'mentions' });
    await expect(pinning).rejects.toThrow();
    await expect(muting).rejects.toThrow();
    expect(store.get('c1')?.own).toMatchObject({ pinned: false, notify: 'mentions', read_seq: 1, unread: 2 });
  });

  it('keeps its own notification level until it is reset to the default', async () => {
    await store.load();
    await store.changeSettings('c1', { notify: 'none' }).catch(() => undefined);
    say('conversation.own', { conversation_id: 'c1', own: { notify: 'none', notify_chosen: true, pinned: false } });
    const leaving = store.changeSettings('c1', { notify: null });
    expect(store.get('c1')?.own).toMatchObject({ notify: 'none', notify_chosen: false });
    say('conversation.own', {
      conversation_id: 'c1',
      own: { notify: 'mentions', notify_chosen: false, pinned: false }
    });
    await leaving.catch(() => undefined);
    expect(store.get('c1')?.own).toMatchObject({ notify: 'mentions' });
  });

  it('is read to the end even if the last message was deleted', async () => {
    api.list = [conversation({ last_seq: 5, unread: 1, last_message: message(3, 'mai') })];
    await store.load();
    store.showReadPosition('c1', 5);
    expect(store.get('c1')).toMatchObject({ unread: 0, read_seq: 5 });
  });

  it('takes presence from members and follows its events', async () => {
    api.list = [conversation({ members: [{ ...member('mai', 'Mai Trần'), presence: 'online' }] })];
    await store.load();
    expect(presence.of('mai')).toBe('online');
    say('presence', { user_id: 'mai', status: 'away', last_seen: null });
    expect(presence.of('mai')).toBe('away');
    expect(presence.of('nobody')).toBeUndefined();
  });

  it('renames members on events, including those during a load', async () => {
    const pair = { title: '', members: [member('me', 'Elena'), member('mai', 'Mai')], last_message: message(3, 'mai') };
    api.list = [conversation(pair)];
    await store.load();
    const again = store.load();
    say('user.changed', { user_id: 'mai', display_name: 'Mai Trần', picture: null, deleted: false });
    const shown = () => [store.nameOf(store.get('c1')!), store.get('c1')!.last_message?.sender.name];
    expect(shown()).toEqual(['Mai Trần', 'Mai Trần']);
    await again;
    expect(shown()).toEqual(['Mai Trần', 'Mai Trần']);
  });

  it('sorts by last activity', async () => {
    api.list = [conversation(), conversation({ id: 'c2', last_activity_at: '2026-11-20T11:00:00.000Z' })];
    await store.load();
    expect(store.joined('w1').map(({ id }) => id)).toEqual(['c2', 'c1']);
    expect(store.joined('w2')).toEqual([]);
    say('message.created', {
      conversation_id: 'c1',
      seq: 9,
      message: message(9, 'mai', { created_at: '2026-11-20T12:00:00.000Z' })
    });
    expect(store.joined('w1').map(({ id }) => id)).toEqual(['c1', 'c2']);
  });

  it('keeps events received during a load', async () => {
    let open: () => void = () => undefined;
    api.gate = new Promise((resolve) => (open = resolve));
    const loading = store.load();
    created(4, 'mai');
    open();
    await loading;
    expect(store.get('c1')).toMatchObject({ last_seq: 4, unread: 2 });
  });

  it('does not let an old response undo a newer event', async () => {
    await store.load();
    created(4, 'mai');
    api.single.set('c1', conversation());
    await store.refresh('c1');
    expect(store.get('c1')).toMatchObject({ last_seq: 4, last_message: { id: 'm4' } });
  });

  it('does not let an old response undo later settings and read positions', async () => {
    await store.load();
    let open = () => undefined as void;
    api.gate = new Promise((resolve) => (open = resolve));
    api.single.set('c1', conversation());
    const reading = [store.refresh('c1'), store.load()];
    say('conversation.own', { conversation_id: 'c1', own: { section_id: 's1' } });
    store.setOwn('c1', { pinned: true });
    say('receipt', { conversation_id: 'c1', user_id: 'me', read_seq: 3, delivered_seq: 3 });
    store.setOwn('c1', { pinned: false });
    open();
    await Promise.all(reading);
    expect(store.get('c1')).toMatchObject({ unread: 0, read_seq: 3, own: { section_id: 's1', pinned: false } });
  });

  it('does not let an old response undo later events outside the log', async () => {
    api.list = [conversation({ kind: 'public_channel', title: 'news', member_count: 900 })];
    await store.load();
    for (const read of [() => store.refresh('c1'), () => store.load()]) {
      let open = () => undefined as void;
      api.gate = new Promise((resolve) => (open = resolve));
      api.single.set('c1', conversation({ kind: 'public_channel', title: 'news', member_count: 900 }));
      const reading = read();
      say('conversation.count', { conversation_id: 'c1', member_count: 901 });
      say('conversation.count', { conversation_id: 'c1', member_count: 902 });
      say('conversation.count', { conversation_id: 'c2', member_count: 7 });
      open();
      await reading;
      expect(store.get('c1')?.member_count).toBe(902);
    }
    expect(api.asked).toEqual(['/conversations', '/conversations/c1', '/conversations']);
  });

  it('does not restore a conversation that was left during a request', async () => {
    await store.load();
    let open = () => undefined as void;
    api.gate = new Promise((resolve) => (open = resolve));
    api.single.set('c1', conversation());
    const reading = store.refresh('c1');
    say('member.removed', { conversation_id: 'c1', seq: 4, user_id: 'me' });
    open();
    await reading;
    expect(store.get('c1')).toBeUndefined();
  });

  it('reloads only the conversations that a hello reports as changed', async () => {
    api.list = [conversation(), conversation({ id: 'c2' }), conversation({ id: 'c3' })];
    await store.load();
    greet(['c1', 'c2', 'c3'].map((id) => ({ id, last_seq: 3 })));
    expect(api.asked).toEqual(['/conversations']);
    // One conversation has changed, one is new, and one is missing in the hello frame and therefore gone.
    api.single.set('c1', conversation({ last_seq: 8, unread: 5 }));
    api.single.set('c4', conversation({ id: 'c4' }));
    greet(['c1', 'c2', 'c4'].map((id) => ({ id, last_seq: id === 'c1' ? 8 : 3 })));
    await expect.poll(() => store.get('c1')?.unread).toBe(5);
    await expect.poll(() => store.get('c4')?.id).toBe('c4');
    await expect.poll(() => store.get('c3')).toBeUndefined();
    expect(api.asked).toEqual(['/conversations', '/conversations/c1', '/conversations/c4', '/conversations/c3']);
  });

  it('reloads after a long disconnect, because another device may have read it', async () => {
    await store.load();
    api.list = [conversation({ unread: 0, read_seq: 3 })];
    greet([{ id: 'c1', last_seq: 3 }]);
    expect(store.get('c1')?.unread).toBe(1);
    live.wasAway = true;
    greet([{ id: 'c1', last_seq: 3 }]);
    await expect.poll(() => store.get('c1')?.unread).toBe(0);
  });

  it('reloads the list when a hello differs in many conversations', async () => {
    await store.load();
    greet(Array.from({ length: 30 }, (_, at) => ({ id: `c${at}`, last_seq: 9 })));
    await expect.poll(() => api.asked).toEqual(['/conversations', '/conversations']);
  });

  it('compares a hello received during a load with its response', async () => {
    let open: () => void = () => undefined;
    api.gate = new Promise((resolve) => (open = resolve));
    const loading = store.load();
    greet([{ id: 'c1', last_seq: 8 }]);
    api.single.set('c1', conversation({ last_seq: 8, unread: 5 }));
    open();
    await loading;
    await expect.poll(() => store.get('c1')?.unread).toBe(5);
    expect(api.asked).toEqual(['/conversations', '/conversations/c1']);
  });

  it('retries a failed load after a reconnect', async () => {
    greet([]);
    expect(api.asked).toEqual([]);
    vi.spyOn(api, 'get').mockRejectedValueOnce(new ApiError(0, 'network', ''));
    await store.load();
    greet([{ id: 'c1', last_seq: 3 }]);
    await expect.poll(() => store.isLoaded).toBe(true);
    expect([store.error, api.asked]).toEqual([null, ['/conversations']]);
  });

  it('reloads after a resync, even during a load', async () => {
    let open: () => void = () => undefined;
    api.gate = new Promise((resolve) => (open = resolve));
    const loading = store.load();
    vi.spyOn(Math, 'random').mockReturnValueOnce(0);
    say('resync', { conversation_ids: null });
    api.list = [conversation({ last_seq: 9, unread: 6 })];
    open();
    await loading;
    await expect.poll(() => store.get('c1')?.unread).toBe(6);
    expect(api.asked).toHaveLength(2);
  });

  it('reloads the conversations of resyncs once each, within three seconds', async () => {
    await store.load();
    vi.useFakeTimers();
    try {
      vi.spyOn(Math, 'random').mockReturnValueOnce(0.5);
      api.single.set('c1', conversation({ last_seq: 9, unread: 6 }));
      say('resync', { conversation_ids: ['c1'] });
      say('resync', { conversation_ids: ['c1', 'c2'] });
      await vi.advanceTimersByTimeAsync(1_499);
      expect(api.asked).toEqual(['/conversations']);
      await vi.advanceTimersByTimeAsync(1);
      expect(api.asked).toEqual(['/conversations', '/conversations/c1', '/conversations/c2']);
      expect(store.get('c1')?.unread).toBe(6);
    } finally {
      vi.useRealTimers();
    }
  });

  it('keeps the open conversation in its place until it is left', async () => {
    const sidebar = new SidebarStore(store, { items: [] } as unknown as SectionsStore);
    const placed = () => {
      const parts = sidebar.parts('w1');
      return ['unread', 'direct'].map((part) => parts.find(({ key }) => key === part)?.items.map(({ id }) => id) ?? []);
    };
    // The conversation was opened by a link before the list has loaded.
    store.open('c1');
    api.list = [conversation(), conversation({ id: 'c2', unread: 0 })];
    await store.load();
    expect(store.get('c1')?.unread).toBe(1);
    store.showReadPosition('c1', 3);
    expect(placed()).toEqual([['c1'], ['c2']]);
    store.open('c2');
    expect(placed()).toEqual([[], ['c1', 'c2']]);
    say('message.created', { conversation_id: 'c2', seq: 4, message: message(4, 'mai', { conversation_id: 'c2' }) });
    expect(placed()).toEqual([[], ['c2', 'c1']]);
    store.open(null);
    expect(placed()).toEqual([['c2'], ['c1']]);
  });

  it('knows the size and rights of a large group, and loads all names when it is opened', async () => {
    const members = [member('me', 'Elena'), member('mai', 'Mai Trần'), member('jo', 'Jonas')];
    const large = { kind: 'group' as const, member_count: 3, own: { ...own, role: 'admin' as const } };
    api.list = [conversation({ ...large, members: members.slice(1, 2) })];
    api.people = members;
    await store.load();
    const shown = () => store.get('c1') as Conversation;
    expect([shown().member_count, shown().own?.role]).toEqual([3, 'admin']);
    expect(shown().members).toHaveLength(1);
    store.open('c1');
    await expect.poll(() => shown().members?.length).toBe(3);
    // Members who are missing in a response have not left: only an event removes them.
    api.single.set('c1', conversation({ ...large, last_seq: 3, members: members.slice(1, 2) }));
    await store.refresh('c1');
    expect(shown().members).toHaveLength(3);
    say('member.added', { conversation_id: 'c1', seq: 4, member: member('cy', 'Cy') });
    say('member.updated', { conversation_id: 'c1', seq: 5, member: member('me', 'Elena') });
    say('member.removed', { conversation_id: 'c1', seq: 6, user_id: 'jo' });
    expect([shown().member_count, shown().own?.role]).toEqual([3, 'member']);
  });

  it('does not load all members of a very large group', async () => {
    api.list = [conversation({ kind: 'group', member_count: 101, members: [member('mai', 'Mai Trần')] })];
    await store.load();
    store.open('c1');
    await Promise.resolve();
    expect(api.asked).toEqual(['/conversations']);
  });

  it('drops removed conversations and loads new ones', async () => {
    await store.load();
    say('member.removed', { conversation_id: 'c1', seq: 4, user_id: 'me' });
    expect(store.get('c1')).toBeUndefined();
    api.single.set('c2', conversation({ id: 'c2' }));
    say('conversation.created', { conversation_id: 'c2' });
    await expect.poll(() => store.get('c2')?.id).toBe('c2');
    say('conversation.deleted', { conversation_id: 'c2', seq: 5 });
    expect(store.get('c2')).toBeUndefined();
  });

  it('counts as empty with default channels only', async () => {
    expect(store.isEmpty).toBe(false);
    api.list = [conversation({ kind: 'public_channel', title: 'general', is_default: true })];
    await store.load();
    expect(store.isEmpty).toBe(true);
    api.single.set('c2', conversation({ id: 'c2' }));
    await store.refresh('c2');
    expect(store.isEmpty).toBe(false);
  });

  it('creates a conversation once if the response is lost and the request repeated', async () => {
    const ids: unknown[] = [];
    let isLost = true;
    vi.spyOn(api, 'post').mockImplementation((...sent: unknown[]) => {
      ids.push((sent[1] as { client_id?: string }).client_id);
      return isLost ? Promise.reject(new ApiError(0, 'network', '')) : Promise.resolve(conversation());
    });
    const group = { kind: 'group' as const, member_ids: ['mai', 'ben'] };
    await expect(store.create(group)).rejects.toBeInstanceOf(ApiError);
    isLost = false;
    await store.create(group);
    expect(ids[0]).toBeTypeOf('string');
    expect(ids[1]).toBe(ids[0]);
    // The conversation was created, so the same input creates a new one.
    await store.create(group);
    await store.create({ ...group, client_id: 'chosen' });
    expect(ids[2]).not.toBe(ids[0]);
    expect(ids[3]).toBe('chosen');
  });

  it('reports a failed load and retries it', async () => {
    vi.spyOn(api, 'get').mockRejectedValueOnce(new ApiError(503, 'unavailable', ''));
    await store.load();
    expect([store.isLoaded, store.error]).toEqual([false, expect.any(ApiError)]);
    await store.load();
    expect([store.isLoaded, store.error]).toEqual([true, null]);
  });
});

describe('channels', () => {
  const channel = (more: Partial<Conversation> = {}) =>
    conversation({ kind: 'public_channel', title: 'news', member_count: 900, ...more });

  it('count unread messages by subtraction, and mentions until the end is read', async () => {
    api.list = [channel({ unread: 0, last_message: null })];
    await store.load();
    for (const no of [1, 2, 3]) {
      const mentions = no === 2 ? [{ kind: 'user' as const, id: 'me' }] : [];
      say('message.created', { conversation_id: 'c1', seq: 3 + no, message: message(3 + no, 'mai', { no, mentions }) });
    }
    expect(store.get('c1')).toMatchObject({ unread: 3, own: { unread_mentions: 1 } });
    store.showReadPosition('c1', 5, 2);
    expect(store.get('c1')).toMatchObject({ unread: 1, read_seq: 5 });
    store.showReadPosition('c1', 6, 3);
    expect(store.get('c1')).toMatchObject({ unread: 0, own: { unread_mentions: 0 } });
  });

  it('reload the mention count when an unread message is edited or deleted', async () => {
    const named = { ...own, unread_mentions: 1 };
    api.list = [channel({ own: named })];
    api.single.set('c1', channel({ last_seq: 4, own }));
    await store.load();
    api.asked = [];
    say('message.updated', { conversation_id: 'c1', seq: 4, message: message(3, 'mai', { content: 'for nobody' }) });
    await vi.waitFor(() => expect(store.get('c1')).toMatchObject({ own: { unread_mentions: 0 } }));
    expect(api.asked).toEqual(['/conversations/c1']);
    // Messages that were read and the user's own aren't counted.
    const mentions = [{ kind: 'user' as const, id: 'me' }];
    say('message.updated', { conversation_id: 'c1', seq: 5, message: message(2, 'mai', { mentions }) });
    say('message.updated', { conversation_id: 'c1', seq: 6, message: message(3, 'me', { mentions }) });
    expect(api.asked).toHaveLength(1);
    api.single.set('c1', channel({ last_seq: 7, own: named }));
    say('message.updated', { conversation_id: 'c1', seq: 7, message: message(3, 'mai', { mentions }) });
    await vi.waitFor(() => expect(store.get('c1')).toMatchObject({ own: { unread_mentions: 1 } }));
    api.single.set('c1', channel({ last_seq: 8, own }));
    say('message.deleted', { conversation_id: 'c1', seq: 8, message_id: 'm2', thread_id: null });
    await vi.waitFor(() => expect(store.get('c1')).toMatchObject({ own: { unread_mentions: 0 } }));
  });

  it('lower the read position only when marked as unread', async () => {
    api.list = [channel()];
    await store.load();
    store.showReadPosition('c1', 9);
    say('conversation.unread', { conversation_id: 'c1', read_seq: 1, unread: 2, unread_mentions: 1 });
    expect(store.get('c1')).toMatchObject({
      read_seq: 1,
      unread: 2,
      own: { read_seq: 1, unread: 2, unread_mentions: 1 }
    });
    say('receipt', { conversation_id: 'c1', user_id: 'me', read_seq: 1, delivered_seq: 9 });
    expect(store.get('c1')?.unread).toBe(2);
    store.showReadPosition('c1', 9);
    expect(store.get('c1')).toMatchObject({ read_seq: 9, unread: 0 });
  });

  it('follow settings from other devices, the member count and archiving', async () => {
    api.list = [channel()];
    await store.load();
    say('conversation.own', { conversation_id: 'c1', own: { notify: 'none', pinned: true } });
    say('conversation.count', { conversation_id: 'c1', member_count: 901 });
    say('conversation.archived', { conversation_id: 'c1', seq: 4, archived_at: '2026-11-20T11:00:00.000Z' });
    expect(store.get('c1')).toMatchObject({
      member_count: 901,
      archived_at: '2026-11-20T11:00:00.000Z',
      own: { role: 'member', notify: 'none', pinned: true }
    });
    say('conversation.unarchived', { conversation_id: 'c1', seq: 5 });
    say('conversation.updated', {
      conversation_id: 'c1',
      seq: 6,
      title: 'announcements',
      topic: null,
      kind: 'private_channel',
      posting: 'admins',
      mention_all: 'admins',
      history: 'all',
      assistants: [{ id: 'a', name: 'Quill', model: null }]
    });
    expect(store.get('c1')).toMatchObject({
      archived_at: null,
      title: 'announcements',
      kind: 'private_channel',
      posting: 'admins',
      mention_all: 'admins',
      assistants: [{ name: 'Quill' }]
    });
  });

  it('follow members without a position in the log', async () => {
    api.list = [channel()];
    await store.load();
    say('member.added', { conversation_id: 'c1', member: member('cy', 'Cy') });
    say('member.updated', { conversation_id: 'c1', member: { ...member('me', 'Elena'), role: 'admin' } });
    expect(store.get('c1')).toMatchObject({ last_seq: 3, member_count: 900, own: { role: 'admin' } });
    expect(store.get('c1')?.members?.map(({ user_id }) => user_id)).toContain('cy');
    say('member.removed', { conversation_id: 'c1', user_id: 'cy' });
    expect(store.get('c1')?.members?.map(({ user_id }) => user_id)).not.toContain('cy');
    say('member.removed', { conversation_id: 'c1', user_id: 'me' });
    expect(store.get('c1')).toBeUndefined();
  });

  it('leave a previewed channel out of the list and drop it afterwards', async () => {
    await store.load();
    api.single.set('c2', channel({ id: 'c2', own: null }));
    await store.find('c2');
    store.open('c2');
    expect(store.joined('w1').map(({ id }) => id)).toEqual(['c1']);
    greet([{ id: 'c1', last_seq: 3 }]);
    expect(api.asked).toEqual(['/conversations', '/conversations/c2']);
    // The user has joined on another device.
    api.single.set('c2', channel({ id: 'c2' }));
    say('member.added', { conversation_id: 'c2', member: member('me', 'Elena') });
    await expect.poll(() => store.joined('w1').length).toBe(2);
    // An admin has removed the user, who can still read the channel.
    api.single.set('c2', channel({ id: 'c2', own: null }));
    say('member.removed', { conversation_id: 'c2', user_id: 'me' });
    await expect.poll(() => store.joined('w1').length).toBe(1);
    expect(store.get('c2')?.own).toBeNull();
    store.open(null);
    expect(store.get('c2')).toBeUndefined();
  });
});
