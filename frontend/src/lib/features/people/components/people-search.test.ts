import { expect, test } from 'vitest';
import type { User } from '#lib/api/types.ts';
import type { PresenceStore } from '../presence.svelte.ts';
import type { WorkspacesStore } from '#lib/features/workspaces/workspaces.svelte.ts';
import { PeopleSearch } from './people-search.svelte.ts';

const user = (display_name: string) => ({ id: display_name, display_name }) as User;

test('shows previous results that match until the response arrives', async () => {
  let answer: (names: string[]) => void = () => {};
  const findPeople = () => new Promise((resolve) => (answer = (names) => resolve({ items: names.map(user) })));
  const workspaces = { current: { id: 'home' }, findPeople } as unknown as WorkspacesStore;
  const search = new PeopleSearch(workspaces, { add: () => {} } as unknown as PresenceStore, 'Me');
  const shown = () => [search.isLoading, search.items.map(({ id }) => id)];
  const typed = async (query: string, ...found: string[]) => {
    search.query = query;
    const before = shown();
    const answered = search.search();
    answer(found);
    await answered;
    return [before, shown()];
  };
  expect(await typed('', 'Anna', 'Bén', 'Me')).toEqual([
    [true, []],
    [false, ['Anna', 'Bén']]
  ]);
  expect(await typed('ben', 'Bén', 'Benedikt')).toEqual([
    [true, ['Bén']],
    [false, ['Bén', 'Benedikt']]
  ]);
  // The person isn't known before the response.
  expect(await typed('zoe')).toEqual([
    [true, []],
    [false, []]
  ]);
});
