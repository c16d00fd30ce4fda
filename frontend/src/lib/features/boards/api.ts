/** API types of boards. */
import type * as Described from '#lib/api/generated/types.gen.ts';
import type { Api } from '#lib/api/client.ts';
import type { Id } from '#lib/api/types.ts';

export type BoardColumn = Described.BoardColumn;

export type Task = Described.Task;

/** `GET /r1/tasks`: task assigned to the user, with its conversation. */
export type OwnTask = Described.OwnTask;

export type NewTask = Described.CreateTaskRequest;

/** Fields of a task that a change may contain. */
export type TaskChange = Omit<Described.ChangeTaskRequest, 'version'>;

/** Events of a board, which are sent only to connections that show its conversation. */
export type BoardFrame = FrameOf<Extract<Described.ServerFrame, { type: `task.${string}` | `column.${string}` }>>;

type FrameOf<F extends { type: unknown; payload: unknown }> = F extends unknown ? Pick<F, 'type' | 'payload'> : never;

export const fetchArchivedTasks = (api: Api, conversationId: Id, page: number, pageSize: number) =>
  api.get(`/conversations/${conversationId}/tasks`, { archived: true, page, page_size: pageSize });
