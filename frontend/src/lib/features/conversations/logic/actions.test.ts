import { expect, it } from 'vitest';
import { actionsOf } from './actions.ts';
import type { MessageView } from '../rows.ts';

const ANSWER = {
  key: 'm1',
  id: 'm1',
  sender: { kind: 'assistant', id: 'a1', name: 'Quill' },
  own: false,
  content: 'Eight.',
  status: 'complete',
  sending: null,
  reactions: [],
  answer: null
} as unknown as MessageView;
const ALL = { canWrite: true, canDelete: false, canRead: true, canChooseModel: true };

it('offers the actions on an answer that the browser and the assistant support', () => {
  expect(actionsOf(ANSWER, ALL)).toEqual(['reply', 'copy', 'read', 'regenerate', 'regenerate_with', 'task', 'report']);
  expect(actionsOf({ ...ANSWER, answer: {} as never }, ALL)).toContain('details');
  const comparing = { ...ALL, canCompare: true };
  expect(actionsOf(ANSWER, comparing)).toContain('compare');
  expect(actionsOf(ANSWER, { ...comparing, canChooseModel: false })).not.toContain('compare');
  for (const nothing of [{ content: '' }, { status: 'failed' as const }])
    expect(actionsOf({ ...ANSWER, ...nothing }, comparing)).not.toContain('compare');
  expect(actionsOf(ANSWER, { canWrite: true, canDelete: false })).toEqual([
    'reply',
    'copy',
    'regenerate',
    'task',
    'report'
  ]);
  for (const action of ['read', 'task'] as const)
    expect(actionsOf({ ...ANSWER, content: '' }, ALL)).not.toContain(action);
});

it('offers to stop a streaming answer, and only reading without write access', () => {
  expect(actionsOf({ ...ANSWER, status: 'streaming' }, ALL)).toEqual(['stop', 'copy']);
  expect(actionsOf(ANSWER, { ...ALL, canWrite: false })).toEqual(['copy', 'read', 'report']);
});

it('offers to mark as unread if there is a read position', () => {
  expect(actionsOf(ANSWER, { ...ALL, hasMarks: true })).not.toContain('unread');
  expect(actionsOf(ANSWER, { ...ALL, hasMarks: true, canMarkUnread: true })).toContain('unread');
});

it('offers the reactor list if there are reactions', () => {
  const reacted = { ...ANSWER, reactions: [{ emoji: '👍', count: 1, user_ids: ['u1'] }] };
  expect(actionsOf(reacted, { ...ALL, hasMarks: true })).toContain('reactors');
  expect(actionsOf(ANSWER, { ...ALL, hasMarks: true })).not.toContain('reactors');
});

it('offers a note for messages with text', () => {
  expect(actionsOf(ANSWER, { ...ALL, canWrite: false, hasMarks: true })).toContain('note');
  expect(actionsOf({ ...ANSWER, content: '' }, { ...ALL, hasMarks: true })).not.toContain('note');
  expect(actionsOf(ANSWER, ALL)).not.toContain('note');
});

it('offers reports on messages of others, and only deletion on hidden ones', () => {
  const said = { ...ANSWER, sender: { kind: 'user', id: 'u1', name: 'Ben' } } as MessageView;
  expect(actionsOf(said, { canWrite: true, canDelete: true })).toEqual(['reply', 'copy', 'task', 'report', 'delete']);
  expect(actionsOf({ ...said, own: true }, ALL)).not.toContain('report');
  expect(actionsOf({ ...said, sender: { ...said.sender, kind: 'system' } }, ALL)).not.toContain('report');
  const hidden = { ...said, isHidden: true, content: '' };
  expect(actionsOf(hidden, { ...ALL, canReact: true })).toEqual([]);
  expect(actionsOf({ ...hidden, own: true }, ALL)).toEqual(['delete']);
});
