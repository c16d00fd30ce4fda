import { afterEach, describe, expect, it } from 'vitest';
import type { Failure } from '#lib/realtime/state.ts';
import { overwriteLocale } from '#lib/i18n/locale.ts';
import { notifyWarning, resolutionLabel, failureReason } from './message-labels.ts';

const failure = (code: string, details?: Failure['details']): Failure => ({
  code,
  message: 'As the server says it.',
  ...(details && { details })
});

afterEach(() => overwriteLocale('en'));

describe('send failures', () => {
  it.each(['out_of_credits', 'quota_reached', 'budget_exceeded'])('%s has its own message', (code) => {
    const told = (['en', 'vi'] as const).map((locale) => {
      overwriteLocale(locale);
      return failureReason(failure(code));
    });
    expect(new Set([...told, failure(code).message]).size).toBe(3);
  });

  it('link to a remedy', () => {
    expect(resolutionLabel(failure('out_of_credits'))).toBe('Buy credits');
    expect(resolutionLabel(failure('quota_reached'))).toBe('See plans');
    expect(resolutionLabel(failure('budget_exceeded'))).toBeNull();
    expect(resolutionLabel(null)).toBeNull();
  });
});

it('state how many people a mention notifies, if known', () => {
  const many = failure('confirm_mention', { count: 40 });
  expect(notifyWarning({ mentions: [{ kind: 'all' }], failure: many })).toBe('@all notifies 40 people.');
  expect(notifyWarning({ mentions: [{ kind: 'here' }], failure: many })).toBe('@here notifies 40 people.');
  expect(notifyWarning({ mentions: [{ kind: 'all' }], failure: failure('confirm_mention') })).toBe(
    '@all notifies many people.'
  );
});
