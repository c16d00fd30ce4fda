import { describe, expect, it } from 'vitest';
import type { Message } from '#lib/api/types.ts';
import { reduce, type LogInput } from '#lib/realtime/reducer.ts';
import { EMPTY, type LogState } from '#lib/realtime/state.ts';
import { created, frame, message } from '../testing.ts';

const MAIN: LogState = { ...EMPTY, loaded: true, cursor: 0 };
const THREAD: LogState = { ...EMPTY, line: 'm1' };
const apply = (state: LogState, ...inputs: LogInput[]) => inputs.reduce(reduce, state);
const event = (one: ReturnType<typeof created>): LogInput => ({ kind: 'event', frame: one });
const root = (change: Partial<Message> = {}) => message(1, change);
const reply = (seq: number, no: number, change: Partial<Message> = {}) =>
  created(seq, { no, thread_id: 'm1', sender: { kind: 'user', id: `u${no}`, name: 'Ben' }, ...change });
const ids = (state: LogState) => state.entries.map((entry) => entry.message.id);
const page = (items: Message[], basis: number, part: 'latest' | 'older' = 'latest', hasMore = false): LogInput => ({
  kind: 'page',
  part,
  items,
  basis,
  hasMore
});

describe('threads', () => {
  it('keep their replies out of the main timeline, unless also sent there', () => {
    const events = [created(1), reply(2, 1), created(3), reply(4, 2, { also_to_conversation: true })].map(event);
    expect(ids(apply(MAIN, ...events))).toEqual(['m1', 'm3', 'm4']);
    const thread = apply(THREAD, page([root()], 1), ...events);
    expect(ids(thread)).toEqual(['m1', 'm2', 'm4']);
    expect(thread.cursor).toBe(4);
  });

  it('add nothing to the main timeline when a reply changes', () => {
    const changed = message(2, { thread_id: 'm1', content: 'other words' });
    const done = frame('message.completed', { seq: 4, message: { ...changed, content: 'an answer' } });
    const events = [created(1), reply(2, 1), frame('message.updated', { seq: 3, message: changed }), done];
    const state = apply(MAIN, ...events.map(event));
    expect([ids(state), state.unseen.size, state.cursor]).toEqual([['m1'], 0, 4]);
  });

  it('count each reply once at the root message', () => {
    const state = apply(MAIN, event(created(1)), event(reply(2, 1)), event(reply(2, 1)), event(reply(3, 2)));
    const thread = state.entries[0]?.message.thread;
    expect(thread).toMatchObject({ reply_count: 2, last_no: 2 });
    expect(thread?.participants.map(({ id }) => id)).toEqual(['u1', 'u2']);
  });

  it('accept thread summaries and replies in any order', () => {
    const told = { reply_count: 1, last_no: 1, last_reply_at: '2026-11-20T09:00:00.000Z', participants: [] };
    const first = apply(MAIN, event(created(1)), { kind: 'thread', messageId: 'm1', thread: told }, event(reply(2, 1)));
    expect(first.entries[0]?.message.thread?.reply_count).toBe(1);
    const later = apply(MAIN, event(created(1)), event(reply(2, 1)), event(reply(3, 2)), {
      kind: 'thread',
      messageId: 'm1',
      thread: told
    });
    expect(later.entries[0]?.message.thread?.reply_count).toBe(2);
    // After a deletion the numbers of the replies continue, although there are fewer.
    const fewer = { ...told, last_no: 2 };
    const left = apply(later, { kind: 'thread', messageId: 'm1', thread: fewer });
    expect(left.entries[0]?.message.thread?.reply_count).toBe(1);
  });

  it('subtract a deleted reply, also by the log alone', () => {
    const left = { reply_count: 1, last_no: 2, last_reply_at: '2026-11-20T09:00:00.000Z', participants: [] };
    const gone = event(frame('message.deleted', { seq: 4, message_id: 'm2', thread_id: 'm1', thread: left }));
    const state = apply(MAIN, event(created(1)), event(reply(2, 1)), event(reply(3, 2)), gone);
    expect(state.entries[0]?.message.thread).toEqual(left);
    expect(ids(apply(THREAD, page([root()], 1), event(reply(2, 1)), event(reply(3, 2)), gone))).toEqual(['m1', 'm3']);
  });

  it('do not count replies again that a page includes', () => {
    const thread = { reply_count: 2, last_no: 2, last_reply_at: '2026-11-20T09:00:00.000Z', participants: [] };
    const state = apply(MAIN, event(created(1)), page([root({ thread })], 0), event(reply(2, 1)), event(reply(3, 2)));
    expect(state.entries[0]?.message.thread?.reply_count).toBe(2);
  });

  it('load older replies after the root message, which every page includes', () => {
    const replies = [2, 3, 4, 5].map((seq) => message(seq, { no: seq - 1, thread_id: 'm1' }));
    let state = apply(THREAD, page([root(), ...replies.slice(2)], 5, 'latest', true));
    expect(state.hasOlder).toBe(true);
    state = apply(state, page([root(), ...replies.slice(0, 2)], 5, 'older'));
    expect(ids(state)).toEqual(['m1', 'm2', 'm3', 'm4', 'm5']);
    expect(state.hasOlder).toBe(false);
  });
});

it('show whether a message is pinned', () => {
  const pinned_at = '2026-11-20T09:00:00.000Z';
  const pin = event(frame('message.pinned', { seq: 2, message_id: 'm1', user_id: 'u1', pinned_at }));
  const unpin = event(frame('message.unpinned', { seq: 3, message_id: 'm1', user_id: 'u1' }));
  const pinned = apply(MAIN, event(created(1)), pin);
  expect(pinned.entries[0]?.message.pinned_at).toBe(pinned_at);
  expect(apply(pinned, unpin).entries[0]?.message.pinned_at).toBeNull();
});

it('show link previews until they are removed', () => {
  const preview = { url: 'https://example.org/', title: 'Example', site: 'example.org' };
  const told = event(frame('message.previews', { seq: 2, message_id: 'm1', previews: [preview] }));
  const shown = apply(MAIN, event(created(1)), told);
  expect(shown.entries[0]?.message.previews).toEqual([preview]);
  const away = event(frame('message.previews', { seq: 3, message_id: 'm1', previews: [] }));
  expect(apply(shown, away).entries[0]?.message.previews).toEqual([]);
  // The page was loaded later, so it is newer.
  expect(apply(MAIN, event(created(1)), page([root()], 2), told).entries[0]?.message.previews).toBeUndefined();
});
