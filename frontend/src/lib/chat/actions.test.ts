import { expect, it } from 'vitest';
import { actionsOf } from './actions.ts';
import type { MessageView } from './rows.ts';

const ANSWER = {
  key: 'm1',
  id: 'm1',
  sender: { kind: 'assistant', id: 'a1', name: 'Quill' },
  own: false,
  content: 'Eight.',
  status: 'complete',
  sending: null,
  answer: null
} as unknown as MessageView;
const ALL = { canWrite: true, canDelete: false, canRead: true, canChooseModel: true };

it('offers for an answer what this browser and this assistant allow', () => {
  expect(actionsOf(ANSWER, ALL)).toEqual(['reply', 'copy', 'read', 'regenerate', 'regenerate_with']);
  expect(actionsOf({ ...ANSWER, answer: {} as never }, ALL)).toContain('details');
  expect(actionsOf(ANSWER, { canWrite: true, canDelete: false })).toEqual(['reply', 'copy', 'regenerate']);
  expect(actionsOf({ ...ANSWER, content: '' }, ALL)).not.toContain('read');
});

it('offers to stop an answer that is being written, and to read one where nobody can write', () => {
  expect(actionsOf({ ...ANSWER, status: 'streaming' }, ALL)).toEqual(['stop', 'copy']);
  expect(actionsOf(ANSWER, { ...ALL, canWrite: false })).toEqual(['copy', 'read']);
});
