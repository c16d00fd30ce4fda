/** A task that two people change at once: what only one of them touched is taken over, what both touched is asked about. */
import type { Task, TaskChange } from '../api.ts';

const FIELDS = ['title', 'column_id', 'due_at', 'assignee_ids', 'labels', 'description'] as const;

export type TaskField = (typeof FIELDS)[number];

/** What a dialog writes of a task. */
export type TaskText = Pick<Task, TaskField>;

export interface Merged {
  /** What only the other one has changed. */
  taken: TaskField[];
  /** What both have changed, each to something else. */
  clashes: TaskField[];
}

/** What was changed of a task since it looked like that; everything else is left to others. */
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
