import { translated } from '#lib/api/error-messages.ts';
import type { MessageView } from '../rows.ts';
import type { Failure } from '#lib/realtime/state.ts';
import { m } from '#lib/paraglide/messages.js';

/** Failure reason, appended to “Not sent:”. */
export function failureReason(failure: Failure | null): string {
  switch (failure?.code) {
    case 'forbidden':
      return m.chat_reason_forbidden();
    case 'out_of_credits':
      return m.chat_reason_credits();
    case 'quota_reached':
      return m.chat_reason_quota();
    case 'budget_exceeded':
      return m.chat_reason_budget();
    case 'not_found':
      return m.chat_reason_not_found();
    case 'too_large':
    case 'too_long':
      return m.chat_reason_too_long();
    case 'word_refused':
      return m.error_word_refused();
  }
  return failure ? translated(failure) : m.chat_reason_unknown();
}

export function callsAll({ mentions }: Pick<MessageView, 'mentions'>): boolean {
  return mentions.some(({ kind }) => kind === 'all');
}

/** Number of people that an unconfirmed message would notify. */
export function notifies({ mentions, failure }: Pick<MessageView, 'mentions' | 'failure'>): string {
  const sign = callsAll({ mentions }) ? '@all' : '@here';
  const count = failure?.details?.count;
  return typeof count === 'number' ? m.chat_notifies({ sign, count }) : m.chat_notifies_many({ sign });
}

/** Link that resolves an exhausted quota. */
export function wayOn(failure: Failure | null): string | null {
  if (failure?.code === 'out_of_credits') return m.money_strip_buy();
  return failure?.code === 'quota_reached' ? m.money_strip_plans() : null;
}
