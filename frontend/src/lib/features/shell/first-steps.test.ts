import { expect, it } from 'vitest';
import type { App } from '#lib/app/app.ts';
import type { Conversation, ConversationKind } from '#lib/api/types.ts';
import { FirstStepsStore, type StepId, stepsOf } from './first-steps.svelte.ts';
import { DismissedNotesStore } from './dismissed-notes.svelte.ts';

const one = (kind: ConversationKind, more: Partial<Conversation> = {}) =>
  ({ id: kind, kind, is_default: false, member_count: 1, last_message: null, own: {}, ...more }) as Conversation;
const said = { last_message: { content: 'hello' } } as Partial<Conversation>;
const general = one('public_channel', { is_default: true });

const done = (...conversations: Conversation[]): StepId[] =>
  stepsOf(conversations, null)
    .filter(({ isDone }) => isDone)
    .map(({ id }) => id);

it.each<[string, Conversation[], StepId[]]>([
  ['there is no conversation', [], []],
  ['there is only the default channel', [general], []],
  ['an assistant chat is empty', [one('assistant')], []],
  ['an assistant was asked', [one('assistant', { ...said, member_count: 2 })], ['assistant']],
  ['the default channel has another member', [{ ...general, member_count: 2 }], ['people']],
  ['a direct chat is empty', [one('single', { member_count: 2 })], ['people']],
  ['a direct chat has a message', [one('single', { ...said, member_count: 2 })], ['people', 'chat']],
  ['a group has a message', [one('group', { ...said, member_count: 3 })], ['people', 'chat']],
  ['a channel was created', [general, one('public_channel', said)], ['channel']]
])('marks the finished steps when %s', (_, conversations, steps) => {
  expect(done(...conversations)).toEqual(['account', ...steps]);
});

it('leaves out inviting people for those who may not', () => {
  const names = (mayInvite: boolean) => stepsOf([], null, mayInvite).map(({ id }) => id);
  expect(names(true)).toContain('people');
  expect(names(false)).not.toContain('people');
});

it('includes notifications only if the browser supports them', () => {
  const last = (notifying: 'granted' | 'default' | null) => stepsOf([], notifying).at(-1);
  expect(last(null)?.id).toBe('channel');
  expect(last('default')).toEqual({ id: 'notify', isDone: false });
  expect(last('granted')).toEqual({ id: 'notify', isDone: true });
});

function stepsIn({ conversations = [general], isEmpty = true, isLoaded = true, age = 0 } = {}) {
  const app = {
    workspaces: { mayInvite: true },
    conversations: { joined: () => conversations, isEmpty, isLoaded },
    session: { account: { created_at: new Date(Date.now() - age * 86_400_000).toISOString() } }
  };
  return new FirstStepsStore(app as unknown as App, new DismissedNotesStore('anna', undefined));
}

it('is shown to a new user until all is done or it is dismissed', () => {
  const everything = [
    one('assistant', said),
    one('single', { ...said, member_count: 2 }),
    one('private_channel', { member_count: 2 })
  ];
  expect(stepsIn().isShown).toBe(true);
  expect(stepsIn({ isLoaded: false }).isShown).toBe(false);
  // The user has only asked an assistant, so other steps are left.
  expect(stepsIn({ conversations: [one('assistant', said)], isEmpty: false }).isShown).toBe(true);
  expect(stepsIn({ conversations: everything, isEmpty: false }).isShown).toBe(false);
  const steps = stepsIn();
  steps.dismiss();
  expect(steps.isShown).toBe(false);
});

it('is hidden for an established user, unless the workspace is empty', () => {
  expect(stepsIn({ isEmpty: false, age: 15 }).isShown).toBe(false);
  expect(stepsIn({ age: 15 }).isShown).toBe(true);
});
