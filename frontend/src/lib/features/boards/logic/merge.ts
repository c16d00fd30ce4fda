/** Three-way merge of tasks: a field that only one side has changed takes that change; a field that both have changed is a conflict. */
import type { Task, TaskChange } from '../api.ts';

const FIELDS = ['title', 'column_id', 'due_at', 'assignee_ids', 'labels', 'description'] as const;

export type TaskField = (typeof FIELDS)[number];

/** Fields of a task that users edit. */
export type TaskText = Pick<Task, TaskField>;

export interface Merged {
  /** Fields that only the other side has changed. */
  taken: TaskField[];
  /** Fields that both sides have changed in different ways. */
  clashes: TaskField[];
}

/** Returns the fields in which `mine` differs from the base version. */
export function changesOf(base: TaskText, mine: TaskText): TaskChange {
  const changed = FIELDS.filter((field) => !isSame(field, base, mine));
  return Object.fromEntries(changed.map((field) => [field, mine[field]])) as TaskChange;
}

export function merge(base: TaskText, theirs: TaskText, mine: TaskText): Merged {
  const changed = FIELDS.filter((field) => !isSame(field, base, theirs) && !isSame(field, mine, theirs));
  const isMine = (field: TaskField) => !isSame(field, base, mine);
  return { taken: changed.filter((field) => !isMine(field)), clashes: changed.filter(isMine) };
}

function isSame(field: TaskField, one: TaskText, other: TaskText): boolean {
  if (field === 'assignee_ids') {
    const people = new Set(one.assignee_ids);
    return people.size === other.assignee_ids.length && other.assignee_ids.every((id) => people.has(id));
  }
  if (field === 'labels') return one.labels.join('\n') === other.labels.join('\n');
  return one[field] === other[field];
}
