import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Member } from '#lib/api/types.ts';
import type { Connection } from '#lib/realtime/connection.svelte.ts';
import { PresenceStore } from './presence.svelte.ts';
import { FakeLiveUpdates } from '#lib/features/conversations/store-testing.ts';

let live: FakeLiveUpdates;
let presence: PresenceStore;
const session = { updatePreferences: vi.fn((_: object) => Promise.resolve()) };

beforeEach(() => {
  vi.useFakeTimers();
  session.updatePreferences.mockClear();
  live = new FakeLiveUpdates();
  presence = new PresenceStore(live as unknown as Connection, session);
});

afterEach(() => vi.useRealTimers());

const people = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ user_id: `u${n}`, presence: 'offline' }) as Member);

const watched = () => live.told.filter(({ type }) => type === 'presence.watch').map(({ payload }) => payload.user_ids);

describe('PresenceStore', () => {
  it('watches the people in responses and applies the states of one frame', () => {
    presence.add(people(2));
    presence.add(people(2));
    vi.advanceTimersByTime(10_000);
    expect(watched()).toEqual([['u0', 'u1']]);
    live.receive({ type: 'presences', payload: { items: [{ user_id: 'u1', status: 'dnd', last_seen: null }] } });
    expect([presence.of('u0'), presence.of('u1')]).toEqual(['offline', 'dnd']);
  });

  it('watches again after a reconnect, at most 500 people', () => {
    presence.add(people(501));
    vi.advanceTimersByTime(10_000);
    live.greet();
    vi.advanceTimersByTime(10_000);
    expect(watched().map((ids) => (ids as string[]).length)).toEqual([500, 500]);
    expect(watched()[1]).not.toContain('u0');
  });

  it('is unknown while the connection is lost, until it is reported again', () => {
    const state = Object.assign(live, { isLost: false, wasLost: false });
    presence.add([{ ...people(1)[0], presence: 'online' } as Member]);
    expect([presence.of('u0'), presence.of('u1', 'offline')]).toEqual(['online', 'offline']);
    state.isLost = true;
    expect([presence.of('u0', 'online'), presence.of('u1', 'offline')]).toEqual([undefined, undefined]);
    Object.assign(state, { isLost: false, wasLost: true });
    live.greet();
    expect([presence.of('u0', 'online'), presence.of('u1', 'offline')]).toEqual([undefined, undefined]);
    live.receive({ type: 'presences', payload: { items: [{ user_id: 'u0', status: 'away', last_seen: null }] } });
    expect([presence.of('u0'), presence.of('u1', 'offline')]).toEqual(['away', 'offline']);
  });

  it('survives a short loss of the connection', () => {
    presence.add([{ ...people(1)[0], presence: 'online' } as Member]);
    live.lose();
    live.greet();
    expect(presence.of('u0')).toBe('online');
  });
});

describe('own presence', () => {
  const said = () => live.told.filter(({ type }) => type === 'presence').map(({ payload }) => payload.status);

  it('is sent at once and saved for other devices', async () => {
    await presence.choose('dnd');
    expect(session.updatePreferences).toHaveBeenCalledWith({ chosen_presence: 'dnd' });
    // The event about the account reports the same value.
    presence.follow('dnd');
    expect([presence.own, said()]).toEqual(['dnd', ['dnd']]);
  });

  it('follows the choice on another device', () => {
    presence.follow('away');
    expect([presence.own, said()]).toEqual(['away', ['away']]);
    presence.follow('online');
    expect([presence.own, said()]).toEqual(['online', ['away', 'online']]);
  });

  it('is reverted if the server refuses it', async () => {
    session.updatePreferences.mockRejectedValueOnce(new Error('no network'));
    await expect(presence.choose('dnd')).rejects.toThrow('no network');
    expect([presence.own, said()]).toEqual(['online', ['dnd', 'online']]);
  });
});
