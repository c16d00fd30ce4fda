/** Drag and drop of tasks. */
import {
  attachClosestEdge,
  extractClosestEdge,
  type Edge
} from '@atlaskit/pragmatic-drag-and-drop-hitbox/closest-edge';
import {
  draggable,
  dropTargetForElements,
  monitorForElements
} from '@atlaskit/pragmatic-drag-and-drop/element/adapter';
import type { Attachment } from 'svelte/attachments';
import type { Id } from '#lib/api/types.ts';
import type { BoardView } from '../logic/board-view.svelte.ts';

const both =
  (...ends: (() => void)[]) =>
  () =>
    ends.forEach((end) => end());

/** Makes a card draggable and a target for other cards. */
export function card(view: BoardView, id: Id): Attachment<HTMLElement> {
  return (element) => {
    const mark = (edge: Edge | null) => {
      element.dataset.edge = edge ?? '';
    };
    return both(
      draggable({
        element,
        getInitialData: () => ({ task: id }),
        onDragStart: () => (view.dragged = id),
        onDrop: () => (view.dragged = null)
      }),
      dropTargetForElements({
        element,
        canDrop: ({ source }) => typeof source.data.task === 'string' && source.data.task !== id,
        getData: ({ input }) => attachClosestEdge({ over: id }, { element, input, allowedEdges: ['top', 'bottom'] }),
        onDrag: ({ self }) => mark(extractClosestEdge(self.data)),
        onDragLeave: () => mark(null),
        onDrop: () => mark(null)
      })
    );
  };
}

/** Makes a column a target for cards. */
export function column(id: Id): Attachment<HTMLElement> {
  return (element) => {
    const mark = (isOver: boolean) => (element.dataset.over = isOver ? 'true' : '');
    return dropTargetForElements({
      element,
      canDrop: ({ source }) => typeof source.data.task === 'string',
      getData: () => ({ column: id }),
      onDragEnter: () => mark(true),
      onDragLeave: () => mark(false),
      onDrop: () => mark(false)
    });
  };
}

/** Calls `ondrop` with the column and index at which a card was dropped. */
export function monitorDrops(view: BoardView, ondrop: (taskId: Id, columnId: Id, at: number) => void): () => void {
  return monitorForElements({
    canMonitor: ({ source }) => typeof source.data.task === 'string',
    onDrop: ({ source, location }) => {
      const targets = location.current.dropTargets;
      const columnId = targets.find(({ data }) => typeof data.column === 'string')?.data.column as Id | undefined;
      const taskId = source.data.task as Id;
      if (columnId === undefined) return;
      const others = view.board.tasksIn(columnId).filter(({ id }) => id !== taskId);
      const over = targets.find(({ data }) => typeof data.over === 'string')?.data;
      const at = others.findIndex(({ id }) => id === over?.over);
      if (!over || at === -1) ondrop(taskId, columnId, others.length);
      else ondrop(taskId, columnId, extractClosestEdge(over) === 'top' ? at : at + 1);
    }
  });
}
