import { expect, it, vi } from 'vitest';
import type { Task } from './api.ts';
import { MessageTasksStore } from './message-tasks.svelte.ts';
import { FakeLiveUpdates } from '#lib/features/conversations/store-testing.ts';

const task = (id: string, message_id: string | null) =>
  ({
    id,
    conversation_id: 'c',
    column_id: 'done',
    title: id,
    position: 'V',
    version: 1,
    message_id,
    archived_at: null
  }) as Task;

function open(tasks: Task[]) {
  const live = new FakeLiveUpdates();
  const asked: string[] = [];
  const api = {
    get: (path: string, query: { page_size?: number } = {}) => {
      asked.push(path);
      if (path.endsWith('/board'))
        return Promise.resolve({
          conversation_id: 'c',
          version: 3,
          columns: [{ id: 'done', done: true, position: 'V' }]
        });
      const page_size = query.page_size ?? 200;
      return Promise.resolve({ items: tasks.slice(0, page_size), page: 1, page_size, total: tasks.length });
    }
  } as never;
  const known = new MessageTasksStore(api, 'c');
  known.open(live);
  return { live, asked, known };
}

it('lists the tasks of a message and whether they are done', async () => {
  const { known } = open([task('t1', 'm1'), task('t2', 'm1'), task('t3', 'm2')]);
  await vi.waitFor(() => expect(known.of('m1').map(({ id }) => id)).toEqual(['t1', 't2']));
  expect(known.of('m3')).toEqual([]);
  expect(known.isDone(task('t1', 'm1'))).toBe(true);
});

it('loads once without tasks and reloads on the first task of a message', async () => {
  const tasks: Task[] = [];
  const { known, live, asked } = open(tasks);
  await vi.waitFor(() => expect(asked).toHaveLength(1));
  const made = task('t1', 'm1');
  live.receive({ type: 'task.created', payload: { conversation_id: 'c', board_version: 3, task: task('t0', null) } });
  expect(asked).toHaveLength(1);
  tasks.push(made);
  live.receive({ type: 'task.created', payload: { conversation_id: 'c', board_version: 4, task: made } });
  await vi.waitFor(() => expect(known.of('m1')).toHaveLength(1));
  live.receive({ type: 'task.deleted', payload: { conversation_id: 'c', board_version: 4, task_id: 't1' } });
  expect(known.of('m1')).toEqual([]);
});
