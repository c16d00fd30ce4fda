import { expect, it, vi } from 'vitest';
import type { OwnTask } from '../api.ts';
import { addressOf, filterOf, OwnTasksStore } from './own-tasks.svelte.ts';

const NOTHING = filterOf(new URLSearchParams());

it('keeps the filter in the URL', () => {
  expect(addressOf(NOTHING)).toBe('/tasks');
  const filter = { isDone: true, conversationId: 'c1', label: 'Q1 & more', due: 'week' as const };
  const address = addressOf(filter);
  expect(filterOf(new URL(address, 'https://natter.test').searchParams)).toEqual(filter);
  expect(filterOf(new URLSearchParams('due=never'))).toEqual(NOTHING);
});

it('requests the filtered tasks and keeps the filter options', async () => {
  const found = { id: 't', conversation_id: 'c1', labels: ['Docs'], due_at: null } as unknown as OwnTask;
  const get = vi.fn(() => Promise.resolve({ items: [found], page: 1, page_size: 100, total: 1 }));
  const tasks = new OwnTasksStore({ get } as never, () => 0);
  await tasks.show(NOTHING);
  expect(get).toHaveBeenLastCalledWith('/tasks', { assignee: 'me', done: false, page: 1, page_size: 100 });
  get.mockResolvedValue({ items: [], page: 1, page_size: 100, total: 0 });
  await tasks.show({ isDone: false, conversationId: 'c1', label: 'Docs', due: 'late' });
  expect(get).toHaveBeenLastCalledWith('/tasks', {
    assignee: 'me',
    done: false,
    conversation_id: 'c1',
    label: 'Docs',
    due_before: '1970-01-01T00:00:00.000Z',
    page: 1,
    page_size: 100
  });
  expect([[...tasks.places.keys()], tasks.labels]).toEqual([['c1'], ['Docs']]);
});
