/** View state of a board: filters, open task, keyboard move. */
import { createContext } from 'svelte';
import type { Task } from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import type { BoardStore } from '../stores/board.svelte.ts';
import { isLate } from './due.ts';

export type TaskFilter = 'all' | 'mine' | 'late';

/** Content of the task dialog: an existing task, or the column of a new one. */
export type Opened = { task: Task } | { columnId: Id };

export const [useBoardView, setBoardView] = createContext<BoardView>();

export class BoardView {
  filter = $state<TaskFilter>('all');
  opened = $state.raw<Opened | null>(null);
  /** Task that the sheet for moving tasks shows; null if it is closed. */
  movingTask = $state.raw<Task | null>(null);
  /** Id of the column that narrow screens show; null for the first one. */
  #shown = $state<Id | null>(null);
  /** Task that is being moved by keyboard, with the position that it had before; null if there is none. */
  carried = $state.raw<Task | null>(null);
  /** Id of the task that is being dragged; null if there is none. */
  dragged = $state<Id | null>(null);
  /** Text that screen readers announce. */
  announced = $state('');

  constructor(
    readonly board: BoardStore,
    readonly conversationId: Id,
    readonly me: () => Id | undefined,
    /** Whether the user may edit the board. */
    readonly mayChange: () => boolean
  ) {}

  readonly shown = $derived.by(() => {
    const { columns } = this.board;
    return columns.find(({ id }) => id === this.#shown) ?? columns[0];
  });

  show(columnId: Id): void {
    this.#shown = columnId;
  }

  fits(task: Task): boolean {
    if (this.filter === 'mine') return task.assignee_ids.includes(this.me() ?? '');
    if (this.filter === 'late') return this.isLate(task);
    return true;
  }

  /** Whether the task is overdue. Tasks in a column for completed ones never are. */
  isLate(task: Task): boolean {
    return isLate(task.due_at) && !this.board.column(task.column_id)?.done;
  }

  tasksIn(columnId: Id): readonly Task[] {
    const tasks = this.board.tasksIn(columnId);
    return this.filter === 'all' ? tasks : tasks.filter((task) => this.fits(task));
  }

  count(filter: TaskFilter): number {
    const { board } = this;
    if (filter === 'all') return board.count;
    const open = board.tasks.filter((task) => !board.column(task.column_id)?.done);
    return open.filter((task) =>
      filter === 'mine' ? task.assignee_ids.includes(this.me() ?? '') : isLate(task.due_at)
    ).length;
  }

  /** Index of the task within its column. */
  placeOf(task: Task): number {
    return this.board.tasksIn(task.column_id).findIndex(({ id }) => id === task.id);
  }
}
