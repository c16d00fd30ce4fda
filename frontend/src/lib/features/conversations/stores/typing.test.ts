import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { created } from '../testing.ts';
import { FakeLine } from '../store-testing.ts';
import { TypingStore } from './typing.svelte.ts';

describe('typing', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  const writes = (line: FakeLine, user_id: string, active: boolean) =>
    line.receive({ type: 'typing', payload: { conversation_id: 'c1', user_id, active } });

  it('is told once in three seconds, and its end at once', () => {
    const line = new FakeLine();
    const typing = new TypingStore(line);
    typing.say('c1');
    vi.advanceTimersByTime(2_900);
    typing.say('c1');
    vi.advanceTimersByTime(200);
    typing.say('c1');
    typing.stop('c1');
    typing.stop('c1');
    expect(line.told.map((one) => one.payload.active)).toEqual([true, true, false]);
  });

  it('of others ends after six seconds unless it goes on', () => {
    const line = new FakeLine();
    const typing = new TypingStore(line);
    writes(line, 'u1', true);
    vi.advanceTimersByTime(5_000);
    writes(line, 'u1', true);
    writes(line, 'u2', true);
    vi.advanceTimersByTime(5_000);
    expect(typing.in('c1')).toEqual(['u1', 'u2']);
    vi.advanceTimersByTime(1_000);
    expect(typing.in('c1')).toEqual([]);
  });

  it('ends with the word itself, and with a message', () => {
    const line = new FakeLine();
    const typing = new TypingStore(line);
    writes(line, 'u1', true);
    writes(line, 'u2', true);
    writes(line, 'u2', false);
    expect(typing.in('c1')).toEqual(['u1']);
    line.receive(created(1));
    expect(typing.in('c1')).toEqual([]);
  });
});
