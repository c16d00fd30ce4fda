import { expect, it, vi } from 'vitest';
import type { Api } from '#lib/api/client.ts';
import type { Workspace } from '#lib/api/types.ts';
import { FakeLiveUpdates } from '#lib/features/conversations/store-testing.ts';
import { WorkspacesStore } from './workspaces.svelte.ts';

const workspace = (id: string, name = id): Workspace => ({ id, name, role: 'member', personal: false }) as Workspace;

/** Fake server with a list of workspaces, which answers a request when `answer()` is called. */
function fake(...list: Workspace[]) {
  const server = { list, asked: 0, held: [] as (() => void)[], isHolding: false };
  const api = {
    get: async () => {
      server.asked += 1;
      const items = [...server.list];
      if (server.isHolding) await new Promise<void>((resolve) => server.held.push(resolve));
      return { items };
    },
    post: async () => {
      server.list = server.list.filter(({ id }) => id !== 'harbour');
    }
  } as unknown as Api;
  const live = new FakeLiveUpdates();
  const workspaces = new WorkspacesStore(api, live);
  const lost = vi.fn();
  workspaces.onLost = ({ name }) => lost(name);
  return { server, live, workspaces, lost, names: () => workspaces.items.map(({ name }) => name) };
}

const changed = { type: 'workspace.changed', payload: { workspace_id: 'harbour' } };

it('follows renames and the removal of this account', async () => {
  const { server, live, workspaces, lost, names } = fake(workspace('own'), workspace('harbour', 'Harbor'));
  await workspaces.load();
  server.list = [workspace('own'), workspace('harbour', 'Harbour')];
  live.receive(changed);
  await vi.waitFor(() => expect(names()).toEqual(['own', 'Harbour']));
  expect(lost).not.toHaveBeenCalled();
  server.list = [workspace('own')];
  live.receive(changed);
  await vi.waitFor(() => expect(lost).toHaveBeenCalledExactlyOnceWith('Harbour'));
  expect(names()).toEqual(['own']);
});

it('does not report a workspace as lost that was left here', async () => {
  const { live, workspaces, lost, names } = fake(workspace('own'), workspace('harbour'));
  await workspaces.load();
  const leaving = workspaces.leave('harbour');
  live.receive(changed);
  await leaving;
  await workspaces.load();
  expect(names()).toEqual(['own']);
  expect(lost).not.toHaveBeenCalled();
});

it('reloads once for changes during a load', async () => {
  const { server, live, workspaces, names } = fake(workspace('own'));
  server.isHolding = true;
  const loading = workspaces.load();
  await vi.waitFor(() => expect(server.asked).toBe(1));
  server.list = [workspace('own'), workspace('harbour')];
  for (let times = 0; times < 5; times += 1) live.receive(changed);
  server.isHolding = false;
  server.held.forEach((go) => go());
  await loading;
  await workspaces.load();
  expect(names()).toEqual(['own', 'harbour']);
  expect(server.asked).toBeLessThanOrEqual(3);
});

it('reloads on each hello except the first', async () => {
  const { server, live, workspaces } = fake(workspace('own'));
  await workspaces.load();
  live.greet();
  expect(server.asked).toBe(1);
  live.lose();
  live.greet();
  await vi.waitFor(() => expect(server.asked).toBe(2));
});

it('reloads on a late first hello', async () => {
  const { server, live, workspaces } = fake(workspace('own'));
  vi.useFakeTimers();
  await workspaces.load();
  vi.advanceTimersByTime(60_000);
  live.greet();
  vi.useRealTimers();
  await vi.waitFor(() => expect(server.asked).toBe(2));
});
