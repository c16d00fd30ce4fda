import type { Audience, Broadcast, BroadcastInput } from '../api.ts';
import type { Id, Timestamp } from '#lib/api/types.ts';

/** Selected audience. A person must match all filters; an empty filter matches everyone. */
export interface AnnouncementChoice {
  isEveryone: boolean;
  workspaces: Id[];
  roles: ('user' | 'admin')[];
  plans: Id[];
  people: Id[];
}

/** Returns the audience to send; null if nothing is selected. */
export function audienceOf({ isEveryone, workspaces, roles, plans, people }: AnnouncementChoice): Audience | null {
  if (isEveryone) return { all: true };
  const audience: Audience = {
    ...(workspaces.length > 0 && { workspace_ids: workspaces }),
    ...(roles.length > 0 && { roles }),
    ...(plans.length > 0 && { plan_ids: plans }),
    ...(people.length > 0 && { user_ids: people })
  };
  return Object.keys(audience).length > 0 ? audience : null;
}

export function chosenOf(audience: Audience | undefined): AnnouncementChoice {
  return {
    isEveryone: audience === undefined || audience.all === true,
    workspaces: audience?.workspace_ids ?? [],
    roles: audience?.roles ?? [],
    plans: audience?.plan_ids ?? [],
    people: audience?.user_ids ?? []
  };
}

/** Converts a timestamp to the value of a `datetime-local` field in local time: `2026-11-24T22:00`. Empty if there is none. */
export function localOf(timestamp: Timestamp | null | undefined): string {
  if (!timestamp) return '';
  const at = new Date(timestamp);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

export function momentOf(local: string): Timestamp | null {
  const at = new Date(local);
  return local === '' || Number.isNaN(at.getTime()) ? null : at.toISOString();
}

/** Returns the changed fields. Audience, channels and start can't change once the broadcast has begun. */
export function changeOf(before: Broadcast, input: BroadcastInput): Partial<BroadcastInput> {
  const { title, body, severity, dismissible, ends_at, audience, channels, starts_at } = input;
  const always = { title, body, severity, dismissible, ends_at };
  if (before.status !== 'scheduled') return always;
  return { ...always, audience, channels, ...(starts_at !== null && { starts_at }) };
}
