import fc from '#lib/util/property-testing.ts';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { BoardColumn, Task } from '../api.ts';
import { positionBetween } from '../logic/position.ts';
import { BoardStore } from './board.svelte.ts';
import { FakeLiveUpdates } from '#lib/features/conversations/store-testing.ts';

const COLUMNS = ['a', 'b', 'c'].map((id, at) => ({ id, name: id, position: `V${at}`, done: false }) as BoardColumn);
const CARDS = Array.from({ length: 10 }, (_, at) => `t${at}`);

/** Fake server with one board, whose events arrive late and out of order. */
class Server {
  version = 0;
  readonly tasks = new Map(
    CARDS.map((id, at) => [id, { id, column_id: 'a', position: `V${at}`, version: 1, archived_at: null } as Task])
  );
  readonly lines = [new FakeLiveUpdates(), new FakeLiveUpdates()];
  readonly waiting: object[][] = [[], []];

  readonly api = {
    get: (path: string) =>
      Promise.resolve(
        path.endsWith('/board')
          ? { conversation_id: 'c', version: this.version, columns: COLUMNS }
          : { items: [...this.tasks.values()], page: 1, page_size: 200, total: this.tasks.size }
      ),
    patch: async (path: string, input: Pick<Task, 'column_id' | 'position'>) => {
      await Promise.resolve();
      const before = this.tasks.get(path.split('/').pop() ?? '') as Task;
      const others = [...this.tasks.values()].filter(
        ({ id, column_id }) => id !== before.id && column_id === input.column_id
      );
      let { position } = input;
      while (others.some((other) => other.position === position)) {
        const after = others.map((other) => other.position).filter((other) => other > position);
        position = positionBetween(position, after.sort()[0] ?? null);
      }
      const task = { ...before, ...input, position, version: before.version + 1 };
      this.tasks.set(task.id, task);
      this.version += 1;
      const payload = { conversation_id: 'c', board_version: this.version, task };
      for (const queue of this.waiting) queue.push({ type: 'task.updated', payload });
      return task;
    }
  } as never;

  /** Delivers one of the events that wait for client `to`, not always the first. */
  tell(to: number, which: number): void {
    const queue = this.waiting[to] ?? [];
    const [frame] = queue.splice(which % Math.max(1, queue.length), 1);
    if (frame) this.lines[to]?.receive(frame as never);
  }
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('converges for two people who move cards 500 times with delayed events', async () => {
  const step = fc.record({
    who: fc.nat(1),
    card: fc.nat(CARDS.length - 1),
    column: fc.nat(COLUMNS.length - 1),
    at: fc.nat(CARDS.length),
    told: fc.array(fc.tuple(fc.nat(1), fc.nat(3)), { maxLength: 4 })
  });
  const run = async (steps: { who: number; card: number; column: number; at: number; told: [number, number][] }[]) => {
    const server = new Server();
    const boards = server.lines.map((live) => {
      const board = new BoardStore(server.api, 'c');
      board.follow(live);
      return board;
    });
    await Promise.all(boards.map((board) => board.load()));
    const moving: (Promise<void> | undefined)[] = [];
    for (const { who, card, column, at, told } of steps) {
      for (const [to, which] of told) server.tell(to, which);
      moving.push(boards[who]?.move(CARDS[card] ?? '', COLUMNS[column]?.id ?? '', at));
      // The clients wait for the responses to some of the moves only.
      if (told.length % 2 === 1) await Promise.all(moving);
    }
    await Promise.all(moving);
    for (const to of [0, 1]) while (server.waiting[to]?.length) server.tell(to, 0);
    await vi.runAllTimersAsync();
    const shown = boards.map((board) => COLUMNS.map(({ id }) => board.tasksIn(id)));
    expect(shown[0]).toEqual(shown[1]);
    expect(shown[0]?.flat().toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual([...server.tasks.values()]);
  };
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 500, maxLength: 500 }), run), { numRuns: 5 });
});
