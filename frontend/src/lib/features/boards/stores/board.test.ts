import { beforeEach, expect, it, vi } from 'vitest';
import { ApiError } from '#lib/api/client.ts';
import type { BoardColumn, Task } from '../api.ts';
import { BoardStore } from './board.svelte.ts';
import { FakeLiveUpdates } from '#lib/features/conversations/store-testing.ts';

const COLUMNS = ['a', 'b'].map((id, at) => ({
  id,
  conversation_id: 'c',
  name: id,
  position: `V${at + 1}`,
  done: false
}));

function task(id: string, position: string, more: Partial<Task> = {}): Task {
  return { id, conversation_id: 'c', column_id: 'a', title: id, position, version: 1, ...more } as Task;
}

/** Fake server with one board. */
class Server {
  version = 3;
  columns: BoardColumn[] = COLUMNS;
  tasks = [task('t1', 'V1'), task('t2', 'V2'), task('t3', 'V3')];
  reads = 0;
  refusal: ApiError | null = null;
  readonly sent: { path: string; body: unknown }[] = [];

  readonly api = {
    get: (path: string) => {
      if (path.endsWith('/board')) {
        this.reads += 1;
        return Promise.resolve({ conversation_id: 'c', version: this.version, columns: this.columns });
      }
      if (path.startsWith('/tasks/')) return Promise.resolve(this.tasks.find(({ id }) => path.endsWith(id)));
      return Promise.resolve({ items: this.tasks, page: 1, page_size: 200, total: this.tasks.length });
    },
    patch: (path: string, body: object) => {
      this.sent.push({ path, body });
      if (this.refusal) return Promise.reject(this.refusal);
      const known = this.tasks.find(({ id }) => path.endsWith(id));
      return Promise.resolve({ ...known, ...body, version: (known?.version ?? 0) + 1 });
    },
    post: () => Promise.reject(new Error('not here')),
    delete: () => Promise.resolve()
  } as never;
}

let server: Server;
let board: BoardStore;
let live: FakeLiveUpdates;

beforeEach(async () => {
  vi.useFakeTimers();
  [server, live] = [new Server(), new FakeLiveUpdates()];
  board = new BoardStore(server.api, 'c');
  board.follow(live);
  await board.load();
});

const order = (column = 'a') => board.tasksIn(column).map(({ id }) => id);
const tell = (type: string, board_version: number, more: object, conversation_id = 'c') =>
  live.receive({ type, payload: { conversation_id, board_version, ...more } });

it('applies events once and ignores those of other boards', () => {
  tell('task.updated', 4, { task: task('t3', 'U', { version: 2 }) });
  expect(order()).toEqual(['t3', 't1', 't2']);
  tell('task.updated', 4, { task: task('t3', 'Z', { version: 3 }) });
  tell('task.created', 5, { task: task('x', 'A') }, 'another');
  expect(order()).toEqual(['t3', 't1', 't2']);
  tell('task.deleted', 5, { task_id: 't1' });
  tell('column.created', 6, { column: { ...COLUMNS[0], id: 'first', position: 'A' } });
  expect(order()).toEqual(['t3', 't2']);
  expect(board.columns.map(({ id }) => id)).toEqual(['first', 'a', 'b']);
});

it('reloads after missed events only', async () => {
  live.greet([{ id: 'c', last_seq: 1, board_version: 3 } as never]);
  await vi.runAllTimersAsync();
  expect(server.reads).toBe(1);
  server.version = 9;
  server.tasks = [task('t9', 'V')];
  live.greet([{ id: 'c', last_seq: 1, board_version: 9 } as never]);
  await vi.runAllTimersAsync();
  expect(order()).toEqual(['t9']);
  tell('task.created', 11, { task: task('t11', 'W') });
  expect(order()).toEqual(['t9', 't11']);
  await vi.runAllTimersAsync();
  expect(server.reads).toBe(3);
  live.receive({ type: 'resync', payload: { conversation_ids: null } });
  await vi.runAllTimersAsync();
  expect(server.reads).toBe(4);
});

it('moves a card at once between two others and reverts a refused move', async () => {
  const moving = board.move('t3', 'a', 1);
  expect(order()).toEqual(['t1', 't3', 't2']);
  await moving;
  const [sent] = server.sent;
  const { position } = sent?.body as { position: string };
  expect('V1' < position && position < 'V2').toBe(true);
  server.refusal = new ApiError(409, 'archived', 'archived');
  const refused = board.move('t1', 'b', 0);
  expect(order('b')).toEqual(['t1']);
  await expect(refused).rejects.toThrow('archived');
  expect(order('b')).toEqual([]);
});

it('shows the other change after a version conflict', async () => {
  const seen = board.get('t1');
  if (!seen) throw new Error('it is there');
  server.tasks = server.tasks.with(0, task('t1', 'V1', { title: 'Theirs', version: 5 }));
  server.refusal = new ApiError(409, 'stale', 'stale');
  await expect(board.change(seen, { title: 'Mine' })).rejects.toThrow('stale');
  expect(server.sent[0]?.body).toEqual({ title: 'Mine', version: 1 });
  expect(board.get('t1')).toMatchObject({ title: 'Theirs', version: 5 });
});

it('hides archived cards and shows restored ones', () => {
  tell('task.updated', 4, { task: task('t2', 'V2', { version: 2, archived_at: '2026-11-26T10:00:00.000Z' }) });
  expect(order()).toEqual(['t1', 't3']);
  expect(board.count).toBe(2);
  tell('task.updated', 5, { task: task('t2', 'V2', { version: 3, archived_at: null }) });
  expect(order()).toEqual(['t1', 't2', 't3']);
});

it('applies events received during a load after its response', async () => {
  const reading = board.load();
  server.tasks = [task('t1', 'V1')];
  tell('task.created', 4, { task: task('t4', 'V4') });
  await reading;
  expect(order()).toContain('t4');
});

it('renames assignees when their names change', () => {
  tell('task.created', 4, { task: task('t4', 'V4', { assignees: [{ id: 'mai', name: 'Mai' }] }) });
  live.receive({
    type: 'user.changed',
    payload: { user_id: 'mai', display_name: 'Mai Trần', picture: null, deleted: false }
  });
  expect(board.get('t4')?.assignees).toEqual([{ id: 'mai', name: 'Mai Trần' }]);
});
