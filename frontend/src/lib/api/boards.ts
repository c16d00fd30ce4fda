/** The wire contract of boards. */
import type * as Described from './generated/types.gen.ts';
import type { ConversationKind, Id, Timestamp } from './types.ts';

export type BoardColumn = Described.BoardColumn;

/** `GET /r1/conversations/{id}/board` */
export type BoardHead = Described.Board;

export interface Task {
  id: Id;
  conversation_id: Id;
  column_id: Id;
  title: string;
  description: string;
  /** Tasks of a column are ordered by it. */
  position: string;
  version: number;
  assignee_ids: Id[];
  assignees: { id: Id; name: string }[];
  labels: string[];
  due_at: Timestamp | null;
  message_id: Id | null;
  /** Since when it is put away. */
  archived_at: Timestamp | null;
  created_by: Id;
  created_at: Timestamp;
  updated_at: Timestamp;
}

/** `GET /r1/tasks` */
export interface OwnTask extends Task {
  column_name: string;
  done: boolean;
  conversation: { id: Id; kind: ConversationKind; title: string | null };
}

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
