/** A board as somebody looks at it: what is filtered, which task is open, which one is carried by the keyboard. */
import { createContext } from 'svelte';
import type { Task } from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import type { BoardStore } from '../stores/board.svelte.ts';
import { isLate } from './due.ts';

export type TaskFilter = 'all' | 'mine' | 'late';

/** What a dialog is about: a task, or one that is to be added to that column. */
export type Opened = { task: Task } | { columnId: Id };

export const [useBoardView, setBoardView] = createContext<BoardView>();

export class BoardView {
  filter = $state<TaskFilter>('all');
  opened = $state.raw<Opened | null>(null);
  /** The task whose places are shown on a phone. */
  held = $state.raw<Task | null>(null);
  /** The column that is shown where there is room for one only. */
  #shown = $state<Id | null>(null);
  /** What is carried by the keyboard, as it was before. */
  carried = $state.raw<Task | null>(null);
  /** What is dragged by the pointer. */
  dragged = $state<Id | null>(null);
  /** What a screen reader says. */
  announced = $state('');

  constructor(
    readonly board: BoardStore,
    readonly conversationId: Id,
    readonly me: () => Id | undefined,
    /** Whether one may change it. */
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

  /** What is done is never late. */
  isLate(task: Task): boolean {
    return isLate(task.due_at) && !this.board.column(task.column_id)?.done;
  }

  in(columnId: Id): readonly Task[] {
    const tasks = this.board.in(columnId);
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

  /** Its place among those of its column, from 0. */
  placeOf(task: Task): number {
    return this.board.in(task.column_id).findIndex(({ id }) => id === task.id);
  }
}
