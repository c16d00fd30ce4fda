import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { DismissedNotesStore } from './dismissed-notes.svelte.ts';

const DAY = 86_400_000;

function storage(kept: string | null = null) {
  return { getItem: () => kept, setItem: (_: string, value: string) => void (kept = value) };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('keeps dismissed notes by account', () => {
  const store = storage();
  const anna = new DismissedNotesStore('anna', store);
  expect(anna.has('mail')).toBe(false);
  anna.dismiss('mail');
  expect([anna.has('mail'), anna.has('steps')]).toEqual([true, false]);
  expect(new DismissedNotesStore('anna', store).has('mail')).toBe(true);
  expect(new DismissedNotesStore('ben', store).has('mail')).toBe(false);
});

it('shows a note again after its period', () => {
  const anna = new DismissedNotesStore('anna', storage());
  anna.dismiss('mail');
  vi.advanceTimersByTime(6 * DAY);
  expect(anna.has('mail', 7 * DAY)).toBe(true);
  vi.advanceTimersByTime(2 * DAY);
  expect([anna.has('mail', 7 * DAY), anna.has('mail')]).toEqual([false, true]);
});

it('follows other tabs and evicts the oldest entries', () => {
  const store = storage();
  const [one, other] = [new DismissedNotesStore('anna', store), new DismissedNotesStore('anna', store)];
  one.dismiss('mail');
  vi.advanceTimersByTime(1);
  other.dismiss('steps');
  expect(new DismissedNotesStore('anna', store).has('mail')).toBe(true);
  for (let at = 0; at < 60; at += 1) {
    vi.advanceTimersByTime(1);
    other.dismiss(`note ${at}`);
  }
  expect([other.has('mail'), other.has('note 59')]).toEqual([false, true]);
});

it.each(['not json', '[]', 'null', '{"anna/mail":"yesterday"}'])('ignores damaged storage: %s', (kept) => {
  const anna = new DismissedNotesStore('anna', storage(kept));
  expect(anna.has('mail')).toBe(false);
  anna.dismiss('mail');
  expect(anna.has('mail')).toBe(true);
});

it('lasts for the visit without storage', () => {
  const refuse = () => {
    throw new Error('full');
  };
  const anna = new DismissedNotesStore('anna', { getItem: refuse, setItem: refuse });
  anna.dismiss('mail');
  expect(anna.has('mail')).toBe(true);
});
