/** Moves of tasks by keyboard: Space picks a task up and drops it, the arrow keys move it, Escape cancels. */
import { tick } from 'svelte';
import type { Task } from '../api.ts';
import type { BoardView } from '../logic/board-view.svelte.ts';
import { attempt } from '#lib/ui/attempt.ts';
import { m } from '#lib/paraglide/messages.js';

const STEPS: Record<string, { across: number; down: number }> = {
  ArrowUp: { across: 0, down: -1 },
  ArrowDown: { across: 0, down: 1 },
  ArrowLeft: { across: -1, down: 0 },
  ArrowRight: { across: 1, down: 0 }
};

export const elementOf = (task: Task) => document.getElementById(`task-${task.id}`);

/** Handles a key that was pressed on a card. */
export function handleKeydown(event: KeyboardEvent, view: BoardView, task: Task): void {
  if (event.ctrlKey || event.metaKey || event.altKey || !view.mayChange()) return;
  const { carried } = view;
  const step = STEPS[event.key];
  if (event.key === ' ') {
    if (carried) void dropTask(view);
    else pickUp(view, task);
  } else if (!carried) {
    return;
  } else if (event.key === 'Enter') {
    void dropTask(view);
  } else if (event.key === 'Escape') {
    void cancelMove(view);
  } else if (step) {
    void moveTask(view, step.across, step.down);
  } else {
    return;
  }
  event.preventDefault();
  event.stopPropagation();
}

function pickUp(view: BoardView, task: Task): void {
  view.carried = task;
  view.announced = m.board_picked_up({ title: task.title, place: describePosition(view, task) });
}

async function moveTask(view: BoardView, across: number, down: number): Promise<void> {
  const { board } = view;
  const task = view.carried && board.get(view.carried.id);
  if (!task) return;
  const columns = board.columns;
  const column = columns[columns.findIndex(({ id }) => id === task.column_id) + across];
  if (!column) return;
  const others = board.tasksIn(column.id).filter(({ id }) => id !== task.id);
  const at = Math.min(Math.max(view.placeOf(task) + down, 0), others.length);
  if (across === 0 && at === view.placeOf(task)) return;
  board.moveLocally(task.id, column.id, at);
  view.show(column.id);
  const placed = board.get(task.id) ?? task;
  view.announced = describePosition(view, placed);
  await tick();
  elementOf(task)?.focus();
}

async function dropTask(view: BoardView): Promise<void> {
  const { carried } = view;
  if (!carried) return;
  view.carried = null;
  const task = view.board.get(carried.id) ?? carried;
  view.announced = m.board_put_down({ title: task.title, place: describePosition(view, task) });
  await attempt(() => view.board.saveMove(carried));
}

/** Cancels a move by keyboard and returns the task to its old position. Also called when the card loses the focus. */
export async function cancelMove(view: BoardView): Promise<void> {
  const { carried } = view;
  if (!carried) return;
  view.carried = null;
  view.board.revertMove(carried);
  view.show(carried.column_id);
  view.announced = m.board_put_back({ title: carried.title, place: describePosition(view, carried) });
  await tick();
  elementOf(carried)?.focus();
}

function describePosition(view: BoardView, task: Task): string {
  const column = view.board.column(task.column_id)?.name ?? '';
  const [place, count] = [view.placeOf(task) + 1, view.board.tasksIn(task.column_id).length];
  return m.board_place({ column, place, count });
}
