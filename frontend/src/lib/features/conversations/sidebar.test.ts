import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Section } from '#lib/features/channels/api.ts';
import type { Conversation, Own } from '#lib/api/types.ts';
import type { ConversationsStore } from './conversations.svelte.ts';
import type { SectionsStore } from './sections.svelte.ts';
import { SidebarStore } from './sidebar.svelte.ts';

const NOW = Date.parse('2026-11-20T10:00:00.000Z');

const conversation = (id: string, own: Partial<Own> = {}, more: Partial<Conversation> = {}): Conversation => ({
  id,
  kind: 'public_channel',
  workspace_id: 'w1',
  title: id,
  topic: null,
  last_seq: 1,
  unread: 0,
  read_seq: 1,
  own: {
    role: 'member',
    read_seq: 1,
    unread: 0,
    unread_mentions: 0,
    notify: 'all',
    muted_until: null,
    pinned: false,
    section_id: null,
    ...own
  },
  posting: 'everyone',
  mention_all: 'everyone',
  history: 'all',
  is_default: false,
  archived_at: null,
  member_count: 3,
  last_message: null,
  created_at: '2026-11-20T09:00:00.000Z',
  last_activity_at: '2026-11-20T09:00:00.000Z',
  ...more
});

const section = (id: string, position: number): Section => ({ id, name: id, position });

let all: Conversation[];
let sections: Section[];
let open: { openId: string | null; isOpenAmongUnread: boolean };
let kept: Map<string, string>;

function sidebar(): SidebarStore {
  const conversations = {
    joined: (workspaceId?: string) =>
      all.filter((one) => workspaceId === undefined || one.workspace_id === workspaceId),
    get openId() {
      return open.openId;
    },
    get isOpenAmongUnread() {
      return open.isOpenAmongUnread;
    }
  };
  const storage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value)
  };
  return new SidebarStore(
    conversations as unknown as ConversationsStore,
    { items: sections } as unknown as SectionsStore,
    storage
  );
}

const allShown = (one: SidebarStore) =>
  one.parts('w1').map(({ key, shown }) => [key, shown.map(({ id }) => id).join(' ')]);
/** Sections with the conversations that are shown, without the empty default ones. */
const shown = (one: SidebarStore) =>
  allShown(one).filter(([key = '', ids]) => ids !== '' || !['channels', 'direct', 'chats'].includes(key));

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  all = [];
  sections = [];
  open = { openId: null, isOpenAmongUnread: false };
  kept = new Map();
});
afterEach(() => void vi.useRealTimers());

describe('SidebarStore', () => {
  it('shows unread, pinned, sections in order, and the default sections', () => {
    sections = [section('launch', 0), section('empty', 1)];
    all = [
      conversation('a', { section_id: 'launch' }, { unread: 2 }),
      conversation('b', { pinned: true, section_id: 'launch' }),
      conversation('c', { section_id: 'launch' }),
      conversation('d'),
      conversation('e', { section_id: 'deleted elsewhere' })
    ];
    expect(shown(sidebar())).toEqual([
      ['unread', 'a'],
      ['pinned', 'b'],
      ['launch', 'c'],
      ['empty', ''],
      ['channels', 'd e']
    ]);
  });

  it('separates channels, direct messages with groups, and chats with assistants', () => {
    all = [
      conversation('a', {}, { kind: 'private_channel' }),
      conversation('b', {}, { kind: 'assistant' }),
      conversation('c', {}, { kind: 'group' }),
      conversation('d', {}, { kind: 'single' }),
      conversation('e')
    ];
    expect(allShown(sidebar())).toEqual([
      ['channels', 'a e'],
      ['direct', 'c d'],
      ['chats', 'b']
    ]);
  });

  it('shows the default sections also while they are empty', () => {
    expect(allShown(sidebar())).toEqual([
      ['channels', ''],
      ['direct', ''],
      ['chats', '']
    ]);
  });

  it('collapses a default section on this device', () => {
    all = [conversation('a'), conversation('b', {}, { kind: 'single' })];
    sidebar().toggle('channels');
    expect(shown(sidebar())).toEqual([['direct', 'b']]);
    expect(kept.get('natter.folded')).toBe('channels');
  });

  it('lists chats with assistants in whichever section they are, for selecting them', () => {
    all = [
      conversation('a', { pinned: true }, { kind: 'assistant' }),
      conversation('b', {}, { kind: 'assistant', unread: 1 }),
      conversation('c'),
      conversation('d', {}, { kind: 'assistant', workspace_id: 'w2' })
    ];
    expect(
      sidebar()
        .chats('w1')
        .map(({ id }) => id)
    ).toEqual(['a', 'b']);
  });

  it('says whether something is unread in another conversation than the open one', () => {
    all = [conversation('a', {}, { unread: 1 }), conversation('b')];
    expect(sidebar().isWaitingElsewhere).toBe(true);
    open.openId = 'a';
    expect(sidebar().isWaitingElsewhere).toBe(false);
    all.push(conversation('muted', { muted_until: '2026-11-20T11:00:00.000Z' }, { unread: 4 }));
    all.push(conversation('archived', {}, { unread: 4, archived_at: '2026-11-19T10:00:00.000Z' }));
    expect(sidebar().isWaitingElsewhere).toBe(false);
    all.push(conversation('other', {}, { unread: 1, workspace_id: 'w2' }));
    expect(sidebar().isWaitingElsewhere).toBe(true);
  });

  it('keeps muted conversations in place unless they mention the reader', () => {
    const muted_until = '2026-11-20T11:00:00.000Z';
    all = [
      conversation('quiet', { muted_until }, { unread: 4 }),
      conversation('named', { muted_until, unread_mentions: 1 }, { unread: 4 }),
      conversation('over', { muted_until: '2026-11-20T09:59:00.000Z' }, { unread: 1 })
    ];
    const one = sidebar();
    expect(shown(one)).toEqual([
      ['unread', 'named over'],
      ['channels', 'quiet']
    ]);
    expect(one.waitingIn('w1')).toBe(5);
  });

  it('counts a conversation again when its mute ends', () => {
    all = [conversation('a', { muted_until: '2026-11-20T10:30:00.000Z' }, { unread: 1 })];
    const one = sidebar();
    const stop = one.watchMutes();
    expect(one.waitingIn()).toBe(0);
    vi.advanceTimersByTime(31 * 60_000);
    expect(one.waitingIn()).toBe(1);
    stop();
  });

  it('keeps the open conversation where it was when opened', () => {
    all = [conversation('a', {}, { unread: 1 }), conversation('b')];
    open = { openId: 'a', isOpenAmongUnread: false };
    expect(shown(sidebar())).toEqual([['channels', 'a b']]);
    open = { openId: 'b', isOpenAmongUnread: true };
    expect(shown(sidebar())).toEqual([['unread', 'a b']]);
  });

  it('collapses a part except the open conversation, and keeps that', () => {
    sections = [section('launch', 0)];
    all = [conversation('a', { section_id: 'launch' }), conversation('b', { section_id: 'launch' })];
    sidebar().toggle('launch');
    expect(shown(sidebar())).toEqual([['launch', '']]);
    open.openId = 'b';
    expect(shown(sidebar())).toEqual([['launch', 'b']]);
    expect(
      sidebar()
        .order('w1')
        .map(({ id }) => id)
    ).toEqual(['b']);
    sidebar().toggle('launch');
    expect(shown(sidebar())).toEqual([['launch', 'a b']]);
  });

  it('shows an archived conversation only while it is open', () => {
    all = [conversation('a'), conversation('b', {}, { archived_at: '2026-11-19T10:00:00.000Z', unread: 3 })];
    expect(shown(sidebar())).toEqual([['channels', 'a']]);
    expect(sidebar().waitingIn()).toBe(0);
    open.openId = 'b';
    expect(shown(sidebar())).toEqual([['channels', 'a b']]);
  });

  it('hides a section that only another workspace uses', () => {
    sections = [section('there', 0)];
    all = [conversation('a'), conversation('b', { section_id: 'there' }, { workspace_id: 'w2' })];
    expect(shown(sidebar())).toEqual([['channels', 'a']]);
  });

  it('filters by unread, keeps the open conversation, and moves through the result', () => {
    all = [conversation('a', {}, { unread: 1 }), conversation('b', { pinned: true }), conversation('c')];
    sidebar().showUnreadOnly(true);
    expect(shown(sidebar())).toEqual([['unread', 'a']]);
    open.openId = 'c';
    expect(shown(sidebar())).toEqual([['unread', 'a c']]);
    all = all.slice(1);
    open.openId = null;
    expect(shown(sidebar())).toEqual([]);
    sidebar().showUnreadOnly(false);
    all.push(conversation('d', {}, { unread: 2 }));
    open.openId = 'b';
    expect(
      sidebar()
        .unreadOrder('w1')
        .map(({ id }) => id)
    ).toEqual(['d', 'b']);
  });
});
