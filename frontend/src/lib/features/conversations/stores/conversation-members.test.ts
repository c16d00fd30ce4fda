import { expect, it, vi } from 'vitest';
import type { Api } from '#lib/api/client.ts';
import type { Member, MemberRole } from '#lib/api/types.ts';
import { ConversationMembersStore } from './conversation-members.svelte.ts';
import { FakeLiveUpdates } from '../store-testing.ts';

const roles: MemberRole[] = ['owner', 'admin', 'admin', 'member', 'member', 'member'];
const everybody = roles.map((role, at) => ({ user_id: `u${at}`, display_name: `Person ${at}`, role }) as Member);

/** Store on a fake server that returns pages of `size` members. */
function open(size: number) {
  const get = vi.fn(async (_path: string, { page, role }: { page: number; role?: MemberRole }) => {
    const found = everybody.filter((member) => !role || member.role === role);
    return { items: found.slice((page - 1) * size, page * size), page, page_size: size, total: found.length };
  });
  const live = new FakeLiveUpdates();
  const members = new ConversationMembersStore({ get } as unknown as Api, live, { add: () => undefined }, 'c1');
  return { get, live, members };
}

it('counts the members of a role as soon as all of them are loaded', async () => {
  const { members } = open(2);
  expect(members.countOf('owner')).toBeNull();
  await members.list.load();
  expect([members.countOf('owner'), members.countOf('admin'), members.countOf('member')]).toEqual([1, null, null]);
  await members.list.more();
  // One plain member is loaded, so the owners and admins are complete.
  expect([members.countOf('owner'), members.countOf('admin'), members.countOf('member')]).toEqual([1, 2, 3]);
});

it('filters by role and drops members who lose it', async () => {
  const { get, live, members } = open(50);
  await members.pick('admin');
  expect(get).toHaveBeenLastCalledWith('/conversations/c1/members', expect.objectContaining({ role: 'admin' }));
  expect(members.list.items.map(({ user_id }) => user_id)).toEqual(['u1', 'u2']);
  const member = { ...everybody[1], role: 'member' };
  live.receive({ type: 'member.updated', payload: { conversation_id: 'c1', member } });
  expect(members.list.items.map(({ user_id }) => user_id)).toEqual(['u2']);
  await members.showAll();
  expect(members.list.items).toHaveLength(6);
});

it('renames members when their names change', async () => {
  const { live, members } = open(50);
  await members.list.load();
  const payload = { user_id: 'u2', display_name: 'Mai Trần', picture: null, deleted: false };
  live.receive({ type: 'user.changed', payload });
  const names = members.list.items.map(({ display_name }) => display_name);
  expect(names).toEqual(['Person 0', 'Person 1', 'Mai Trần', 'Person 3', 'Person 4', 'Person 5']);
});
