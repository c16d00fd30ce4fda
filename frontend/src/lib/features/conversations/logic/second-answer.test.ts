import { expect, it } from 'vitest';
import type { ServerFrame } from '#lib/api/types.ts';
import { SecondAnswer } from './second-answer.svelte.ts';
import { message, toolCall } from '../testing.ts';

const frame = (type: string, payload: object) =>
  ({
    id: 'f',
    type,
    timestamp: '2026-11-20T09:00:00.000Z',
    payload: { conversation_id: 'c1', ...payload }
  }) as ServerFrame;
const piece = (offset: number, text: string, message_id = 'm2') => frame('message.delta', { message_id, offset, text });
const compared = (change: object, version?: number) =>
  frame('message.compared', { answer_id: 'm1', message: message(2, change), ...(version && { version }) });

function begun(...early: ServerFrame[]): SecondAnswer {
  const second = new SecondAnswer();
  for (const one of early) second.handleFrame(one);
  second.start(message(2, { content: '', status: 'streaming' }));
  return second;
}

it('assembles its own chunks, including those received before it was known', () => {
  const second = begun(piece(0, 'Eins '), piece(0, 'One ', 'm1'));
  second.handleFrame(piece(5, 'zwei '));
  second.handleFrame(piece(4, 'two ', 'm1'));
  expect(second.message?.content).toBe('Eins zwei ');
});

it('waits for a missing chunk and ignores duplicates', () => {
  const second = begun();
  second.handleFrame(piece(5, 'zwei '));
  expect(second.message?.content).toBe('');
  second.handleFrame(piece(0, 'Eins '));
  second.handleFrame(piece(0, 'Eins '));
  second.handleFrame(piece(10, 'drei'));
  expect(second.message?.content).toBe('Eins zwei drei');
});

it('ends with the completed event and becomes a version when reported', () => {
  const second = begun(piece(0, 'Eins '));
  second.handleFrame(compared({ content: 'Eins zwei', status: 'complete' }));
  expect([second.message?.content, second.message?.status, second.version]).toEqual(['Eins zwei', 'complete', null]);
  second.handleFrame(piece(9, ' drei'));
  second.handleFrame(frame('message.compared', { answer_id: 'm7', message: message(8), version: 5 }));
  second.handleFrame(compared({ content: 'Eins zwei', status: 'complete' }, 2));
  expect([second.message?.content, second.version]).toEqual(['Eins zwei', 2]);
});

it('restarts when another instance takes over', () => {
  const second = begun(piece(0, 'Lost'), piece(9, 'ever'));
  second.handleFrame(compared({ content: 'Found again', status: 'streaming' }));
  second.handleFrame(piece(11, ', whole'));
  expect(second.message?.content).toBe('Found again, whole');
});

it('tracks the state of its tool calls', () => {
  const second = begun();
  const call = (id: string, status: 'waiting' | 'done') =>
    frame('message.tool_call', { message_id: 'm2', call: toolCall(id, { status }) });
  for (const one of [call('t1', 'waiting'), call('t2', 'waiting'), call('t1', 'done')]) second.handleFrame(one);
  expect(second.calls.map(({ id, status }) => [id, status])).toEqual([
    ['t2', 'waiting'],
    ['t1', 'done']
  ]);
});
