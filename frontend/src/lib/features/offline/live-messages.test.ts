import { describe, expect, it } from 'vitest';
import type { Cursor, Message } from '#lib/api/types.ts';
import { applyFrames, latestMessagesOf, type MessageFrame } from './live-messages.ts';

const messageOf = (id: string, seq: number, more: object = {}) =>
  ({ id, seq, content: id, thread_id: null, ...more }) as unknown as Message;
const frameOf = (type: string, payload: object) =>
  ({ type, payload: { conversation_id: 'c', seq: 9, ...payload } }) as unknown as MessageFrame;
const created = (message: Message) => frameOf('message.created', { message });

const PAGE: Cursor<Message> = { items: [messageOf('a', 1), messageOf('b', 2)], has_more: false } as Cursor<Message>;
const after = (...frames: MessageFrame[]) => applyFrames(PAGE, 'c', frames).items.map(({ content }) => content);

describe('cached messages', () => {
  it('include those that came over the socket, once', () => {
    expect(after(created(messageOf('d', 3)), created(messageOf('d', 3)))).toEqual(['a', 'b', 'd']);
  });

  it('leave out replies in threads, unless they were also sent to the conversation', () => {
    const reply = messageOf('r', 3, { thread_id: 'a' });
    expect(after(created(reply))).toEqual(['a', 'b']);
    expect(after(created({ ...reply, also_to_conversation: true } as Message))).toEqual(['a', 'b', 'r']);
  });

  it('are edited and deleted', () => {
    const edited = frameOf('message.updated', { message: messageOf('a', 1, { content: 'A' }) });
    expect(after(edited)).toEqual(['A', 'b']);
    expect(after(frameOf('message.deleted', { message_id: 'a' }))).toEqual(['b']);
    const asked = frameOf('message.updated', { message: messageOf('a', 1, { content: 'A' }), branch_changed: true });
    expect(after(asked)).toEqual(['A']);
  });

  it('are those of their conversation', () => {
    expect(applyFrames(PAGE, 'other', [created(messageOf('d', 3))])).toEqual(PAGE);
  });

  it('are limited', () => {
    const many = Array.from({ length: 250 }, (_, at) => created(messageOf(`${at}`, at + 3)));
    const { items, has_more } = applyFrames(PAGE, 'c', many);
    expect([items.length, items.at(-1)?.content, has_more]).toEqual([200, '249', true]);
  });
});

it.each([
  ['/r1/conversations/c-1/messages?limit=50', 'c-1'],
  ['/chat/r1/conversations/c-1/messages', 'c-1'],
  ['/r1/conversations/c-1/messages?before_seq=9&limit=50', undefined],
  ['/r1/conversations/c-1/members', undefined]
])('knows the conversation of %s', (path, id) => {
  expect(latestMessagesOf(new URL(path, 'https://chat.example'))).toBe(id);
});
