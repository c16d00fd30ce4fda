/** The wire contract of boards. */
import type * as Described from './generated/types.gen.ts';
import type { Id, Timestamp } from './types.ts';

export type BoardColumn = Described.BoardColumn;

/** `GET /r1/conversations/{id}/board` */
export type BoardHead = Described.Board;

export type Task = Described.Task;

/** `GET /r1/tasks` */
export type OwnTask = Described.OwnTask;

/** What is written of a task. */
export interface TaskWish {
  title?: string;
  column_id?: Id;
  description?: string;
  assignee_ids?: Id[];
  due_at?: Timestamp | null;
  labels?: string[];
  message_id?: Id;
  position?: string;
  archived?: boolean;
}

interface Told {
  conversation_id: Id;
  board_version: number;
}

/** What is told of boards to those who look at their conversation. */
export type BoardFrame =
  | { type: 'task.created' | 'task.updated'; payload: Told & { task: Task } }
  | { type: 'task.deleted'; payload: Told & { task_id: Id } }
  | { type: 'column.created' | 'column.updated'; payload: Told & { column: BoardColumn } }
  | { type: 'column.deleted'; payload: Told & { column_id: Id } };
