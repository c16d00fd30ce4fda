import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { PutAway } from './dismissed-notes.svelte.ts';

const DAY = 86_400_000;

function storage(kept: string | null = null) {
  return { getItem: () => kept, setItem: (_: string, value: string) => void (kept = value) };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('keeps what was put away, for the account that did it and no other', () => {
  const store = storage();
  const anna = new PutAway('anna', store);
  expect(anna.has('mail')).toBe(false);
  anna.put('mail');
  expect([anna.has('mail'), anna.has('steps')]).toEqual([true, false]);
  expect(new PutAway('anna', store).has('mail')).toBe(true);
  expect(new PutAway('ben', store).has('mail')).toBe(false);
});

it('shows it again after the time for which it was put away', () => {
  const anna = new PutAway('anna', storage());
  anna.put('mail');
  vi.advanceTimersByTime(6 * DAY);
  expect(anna.has('mail', 7 * DAY)).toBe(true);
  vi.advanceTimersByTime(2 * DAY);
  expect([anna.has('mail', 7 * DAY), anna.has('mail')]).toEqual([false, true]);
});

it('takes up what another tab has put away, and forgets the oldest of very many', () => {
  const store = storage();
  const [one, other] = [new PutAway('anna', store), new PutAway('anna', store)];
  one.put('mail');
  vi.advanceTimersByTime(1);
  other.put('steps');
  expect(new PutAway('anna', store).has('mail')).toBe(true);
  for (let at = 0; at < 60; at += 1) {
    vi.advanceTimersByTime(1);
    other.put(`note ${at}`);
  }
  expect([other.has('mail'), other.has('note 59')]).toEqual([false, true]);
});

it.each(['not json', '[]', 'null', '{"anna/mail":"yesterday"}'])('makes nothing of %s', (kept) => {
  const anna = new PutAway('anna', storage(kept));
  expect(anna.has('mail')).toBe(false);
  anna.put('mail');
  expect(anna.has('mail')).toBe(true);
});

it('holds for a visit where nothing can be kept', () => {
  const refuse = () => {
    throw new Error('full');
  };
  const anna = new PutAway('anna', { getItem: refuse, setItem: refuse });
  anna.put('mail');
  expect(anna.has('mail')).toBe(true);
});
