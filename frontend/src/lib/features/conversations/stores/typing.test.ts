import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { created } from '../testing.ts';
import { FakeLiveUpdates } from '../store-testing.ts';
import { TypingStore } from './typing.svelte.ts';

describe('TypingStore', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  const writes = (live: FakeLiveUpdates, user_id: string, active: boolean) =>
    live.receive({ type: 'typing', payload: { conversation_id: 'c1', user_id, active } });

  it('reports typing every three seconds and its end at once', () => {
    const live = new FakeLiveUpdates();
    const typing = new TypingStore(live);
    typing.reportTyping('c1');
    vi.advanceTimersByTime(2_900);
    typing.reportTyping('c1');
    vi.advanceTimersByTime(200);
    typing.reportTyping('c1');
    typing.stop('c1');
    typing.stop('c1');
    expect(live.told.map((one) => one.payload.active)).toEqual([true, true, false]);
  });

  it('drops others after six seconds without a renewal', () => {
    const live = new FakeLiveUpdates();
    const typing = new TypingStore(live);
    writes(live, 'u1', true);
    vi.advanceTimersByTime(5_000);
    writes(live, 'u1', true);
    writes(live, 'u2', true);
    vi.advanceTimersByTime(5_000);
    expect(typing.in('c1')).toEqual(['u1', 'u2']);
    vi.advanceTimersByTime(1_000);
    expect(typing.in('c1')).toEqual([]);
  });

  it('ends on a stop event and on a message', () => {
    const live = new FakeLiveUpdates();
    const typing = new TypingStore(live);
    writes(live, 'u1', true);
    writes(live, 'u2', true);
    writes(live, 'u2', false);
    expect(typing.in('c1')).toEqual(['u1']);
    live.receive(created(1));
    expect(typing.in('c1')).toEqual([]);
  });
});
