import { expect, it, vi } from 'vitest';
import type { Api } from '#lib/api/client.ts';
import type { Assistant, AssistantInput, Prompt } from '#lib/api/assistants.ts';
import { FakeLiveUpdates } from '#lib/features/conversations/store-testing.ts';
import { type Assistants, assistantsOf, promptsOf } from './workspace-list.svelte.ts';

interface Named {
  id: string;
  name?: string;
  command?: string;
  is_default?: boolean;
}

/** Fake server with one list of assistants or prompts. */
function fake(...list: Named[]) {
  const asked = vi.fn();
  const api = {
    get: async (path: string, query: unknown) => {
      asked(path, query);
      return { items: [...list], page: 1, page_size: 100, total: list.length };
    },
    post: async (_path: string, body: Named) => ({ is_default: false, ...body, id: 'made' }),
    patch: async (path: string, body: Named) => ({ ...list.find(({ id }) => path.endsWith(id)), ...body }),
    delete: async () => undefined
  } as unknown as Api;
  return { api, asked, list };
}

const names = (assistants: Assistants) => assistants.list.items.map(({ name }) => name);

it('sorts the default assistant first and the others by name', async () => {
  const { api } = fake({ id: 'a', name: 'Natter', is_default: true }, { id: 'b', name: 'Lingo', is_default: false });
  const assistants = assistantsOf(api, 'w1');
  await assistants.list.load();
  await assistants.create({ name: 'Clause' } as AssistantInput);
  expect(names(assistants)).toEqual(['Natter', 'Clause', 'Lingo']);
  await assistants.change('b', { name: 'Babel' } as AssistantInput);
  expect(names(assistants)).toEqual(['Natter', 'Babel', 'Clause']);
  await assistants.remove('made');
  expect(names(assistants)).toEqual(['Natter', 'Babel']);
  expect(assistants.list.total).toBe(2);
});

it('reloads on changes in this workspace until unfollowed', async () => {
  const { api, asked, list } = fake({ id: 'a', name: 'Natter' });
  const live = new FakeLiveUpdates();
  const assistants = assistantsOf(api, 'w1');
  const leave = assistants.follow(live);
  live.receive({ type: 'assistants.changed', payload: { workspace_id: 'w1' } });
  expect(asked).not.toHaveBeenCalled();
  await assistants.list.load();
  list.push({ id: 'b', name: 'Lingo' } as Assistant);
  live.receive({ type: 'assistants.changed', payload: { workspace_id: 'w2' } });
  live.receive({ type: 'assistants.changed', payload: { workspace_id: 'w1' } });
  await vi.waitFor(() => expect(names(assistants)).toEqual(['Natter', 'Lingo']));
  expect(asked).toHaveBeenCalledTimes(2);
  leave();
  live.receive({ type: 'assistants.changed', payload: { workspace_id: 'w1' } });
  expect(asked).toHaveBeenCalledTimes(2);
});

it('sorts prompts by command', async () => {
  const { api, asked } = fake({ id: 'p1', command: 'standup' });
  const prompts = promptsOf(api, 'w1');
  await prompts.list.load();
  expect(asked).toHaveBeenCalledWith('/prompts', expect.objectContaining({ workspace_id: 'w1' }));
  await prompts.create({ command: 'note' } as Prompt);
  expect(prompts.list.items.map(({ command }) => command)).toEqual(['note', 'standup']);
  await prompts.change('p1', { command: 'again' } as Prompt);
  expect(prompts.list.items.map(({ command }) => command)).toEqual(['again', 'note']);
});
