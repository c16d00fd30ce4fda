import { expect, it } from 'vitest';
import { stateOf } from '#lib/features/tools/tool-labels.ts';
import { actionText, heading } from '#lib/features/notifications/components/notification-labels.ts';
import { checkName } from '#lib/features/console/components/check-labels.ts';
import { incidentWords, summary } from '#lib/features/console/components/figure-labels.ts';
import { conversationAbout, conversationName } from '#lib/features/console/workspaces/conversation-labels.ts';
import { kindName as workspaceKind } from '#lib/features/console/workspaces/workspace-labels.ts';
import { outcomeOf } from '#lib/features/moderation/admin/report-labels.ts';
import { entryName, statusStyle, statusName } from '#lib/features/billing/components/entry-labels.ts';
import { limitName } from '#lib/features/billing/limit-labels.ts';
import { kindName } from '#lib/features/search/place-name.ts';
import { hasWord } from '#lib/features/search/components/search-labels.ts';
import { presenceLabel } from '#lib/features/people/presence-labels.ts';

/** Enum value that only a newer server knows. */
const NEW = 'of_a_newer_server';
const newly = <Value>(value: Partial<Value>): Value => value as Value;
const unheard = NEW as never;

it('shows unknown values of a newer server by their names', () => {
  const call = newly<Parameters<typeof stateOf>[0]>({ status: unheard, duration_ms: null });
  const notification = newly<Parameters<typeof actionText>[0]>({ kind: unheard, title: 'Something', count: 1 });
  const place = newly<Parameters<typeof conversationName>[0]>({ id: '1', title: null, kind: unheard });
  expect(stateOf(call)).toBe(NEW);
  expect(actionText(notification)).toBe(NEW);
  expect(heading(notification)).toBe('Something');
  expect(checkName(unheard)).toBe(NEW);
  expect(incidentWords(newly<Parameters<typeof incidentWords>[0]>({ kind: unheard, detail: null }))).toEqual({
    what: NEW,
    next: ''
  });
  expect(summary(unheard, [1, null, 2])).toBe(3);
  expect(conversationName(place)).toBe(NEW);
  expect(conversationAbout({ ...place, title: 'A place' })).toBe(NEW);
  expect(workspaceKind(unheard)).toBe(NEW);
  expect(outcomeOf(newly<Parameters<typeof outcomeOf>[0]>({ actions: [unheard] }))).toBe(NEW);
  expect(entryName(NEW)).toBe(NEW);
  expect([statusName(unheard), statusStyle(unheard)]).toEqual([NEW, '']);
  expect(limitName(unheard)).toBe(NEW);
  expect(kindName(unheard)).toBe(NEW);
  expect(hasWord(unheard)).toBe(NEW);
  expect(presenceLabel(unheard)).toBe(NEW);
});
