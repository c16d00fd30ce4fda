import { expect, it } from 'vitest';
import { changesOf, merge, type TaskText } from './merge.ts';

const BASE: TaskText = {
  title: 'Notes',
  column_id: 'todo',
  due_at: null,
  assignee_ids: ['anna', 'ben'],
  labels: ['docs'],
  description: ''
};

it('contains only changed fields', () => {
  expect(changesOf(BASE, { ...BASE, assignee_ids: ['ben', 'anna'], labels: ['docs'] })).toEqual({});
  expect(changesOf(BASE, { ...BASE, title: 'All notes', due_at: '2031-01-01T00:00:00.000Z' })).toEqual({
    title: 'All notes',
    due_at: '2031-01-01T00:00:00.000Z'
  });
  expect(changesOf({ ...BASE, due_at: '2031-01-01T00:00:00.000Z' }, BASE)).toEqual({ due_at: null });
});

it('merges fields that only one side has changed', () => {
  const theirs = { ...BASE, column_id: 'done', description: 'Theirs', labels: [] };
  const mine = { ...BASE, title: 'Mine', assignee_ids: ['anna'] };
  expect(merge(BASE, theirs, mine)).toEqual({ taken: ['column_id', 'labels', 'description'], clashes: [] });
});

it('reports fields that both sides have changed differently', () => {
  const theirs = { ...BASE, title: 'Same', description: 'Theirs', assignee_ids: ['ben', 'carl'], due_at: 'later' };
  const mine = { ...BASE, title: 'Same', description: 'Mine', assignee_ids: ['anna'] };
  expect(merge(BASE, theirs, mine)).toEqual({ taken: ['due_at'], clashes: ['assignee_ids', 'description'] });
});
