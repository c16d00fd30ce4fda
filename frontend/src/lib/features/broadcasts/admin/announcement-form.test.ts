import { describe, expect, it } from 'vitest';
import type { Broadcast, BroadcastInput } from '../api.ts';
import { audienceOf, changeOf, chosenOf, localOf, momentOf } from './announcement-form.ts';

const nobody = { isEveryone: false, workspaces: [], roles: [], plans: [], people: [] };

describe('announcement audience', () => {
  it('is everyone, or the combination of all chosen filters', () => {
    expect(audienceOf({ ...nobody, isEveryone: true, workspaces: ['w'] })).toEqual({ all: true });
    expect(audienceOf(nobody)).toBeNull();
    expect(audienceOf({ ...nobody, workspaces: ['w'], roles: ['admin'] })).toEqual({
      workspace_ids: ['w'],
      roles: ['admin']
    });
  });

  it('survives a round trip through the form', () => {
    for (const audience of [{ all: true }, { plan_ids: ['p'], user_ids: ['u'] }])
      expect(audienceOf(chosenOf(audience))).toEqual(audience);
    expect(chosenOf(undefined).isEveryone).toBe(true);
  });
});

describe('date and time field', () => {
  it('survives a round trip, to the minute', () => {
    expect(momentOf(localOf('2026-11-24T22:00:00.000Z'))).toBe('2026-11-24T22:00:00.000Z');
    expect([localOf(null), momentOf(''), momentOf('soon')]).toEqual(['', null, null]);
  });
});

describe('changes of an announcement', () => {
  const input: BroadcastInput = {
    title: 't',
    body: 'b',
    severity: 'info',
    audience: { all: true },
    channels: ['banner'],
    dismissible: true,
    starts_at: null,
    ends_at: null
  };

  it('omits the fields that an active announcement can’t change', () => {
    const change = changeOf({ status: 'active' } as Broadcast, input);
    expect(Object.keys(change).sort()).toEqual(['body', 'dismissible', 'ends_at', 'severity', 'title']);
    expect(changeOf({ status: 'scheduled' } as Broadcast, input).audience).toEqual({ all: true });
  });
});
