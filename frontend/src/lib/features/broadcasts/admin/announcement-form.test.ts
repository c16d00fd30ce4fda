import { describe, expect, it } from 'vitest';
import type { Broadcast, BroadcastInput } from '../api.ts';
import { audienceOf, changeOf, chosenOf, localOf, momentOf } from './announcement-form.ts';

const nobody = { isEveryone: false, workspaces: [], roles: [], plans: [], people: [] };

describe('the audience of an announcement', () => {
  it('is everyone, or those whom all that is chosen lets through', () => {
    expect(audienceOf({ ...nobody, isEveryone: true, workspaces: ['w'] })).toEqual({ all: true });
    expect(audienceOf(nobody)).toBeNull();
    expect(audienceOf({ ...nobody, workspaces: ['w'], roles: ['admin'] })).toEqual({
      workspace_ids: ['w'],
      roles: ['admin']
    });
  });

  it('is chosen as it was', () => {
    for (const audience of [{ all: true }, { plan_ids: ['p'], user_ids: ['u'] }])
      expect(audienceOf(chosenOf(audience))).toEqual(audience);
    expect(chosenOf(undefined).isEveryone).toBe(true);
  });
});

describe('a moment in a field', () => {
  it('comes back as it was, to the minute', () => {
    expect(momentOf(localOf('2026-11-24T22:00:00.000Z'))).toBe('2026-11-24T22:00:00.000Z');
    expect([localOf(null), momentOf(''), momentOf('soon')]).toEqual(['', null, null]);
  });
});

describe('a change of an announcement', () => {
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

  it('says of one that has begun nothing that can’t change any more', () => {
    const change = changeOf({ status: 'active' } as Broadcast, input);
    expect(Object.keys(change).sort()).toEqual(['body', 'dismissible', 'ends_at', 'severity', 'title']);
    expect(changeOf({ status: 'scheduled' } as Broadcast, input).audience).toEqual({ all: true });
  });
});
