import { translated } from '#lib/api/error-messages.ts';
import type { MessageView } from '../rows.ts';
import type { Failure } from '#lib/realtime/state.ts';
import { m } from '#lib/paraglide/messages.js';

/** Reason why a message was not sent, to follow “Not sent:”. */
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

export function mentionsAll({ mentions }: Pick<MessageView, 'mentions'>): boolean {
  return mentions.some(({ kind }) => kind === 'all');
}

/** Text with the number of people whom the message would notify, if it needs a confirmation. */
export function notifyWarning({ mentions, failure }: Pick<MessageView, 'mentions' | 'failure'>): string {
  const sign = mentionsAll({ mentions }) ? '@all' : '@here';
  const count = failure?.details?.count;
  return typeof count === 'number' ? m.chat_notifies({ sign, count }) : m.chat_notifies_many({ sign });
}

/** Label of the link to the page that resolves the failure, by credits or another plan; null if there is none. */
export function resolutionLabel(failure: Failure | null): string | null {
  if (failure?.code === 'out_of_credits') return m.money_strip_buy();
  return failure?.code === 'quota_reached' ? m.money_strip_plans() : null;
}
