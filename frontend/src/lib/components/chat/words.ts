import { translated } from '#lib/api/words.ts';
import type { Failure } from '#lib/chat/state.ts';
import { m } from '#lib/paraglide/messages.js';

/** Why a message was not sent, to stand behind “Not sent:”. */
export function whyNotSent(failure: Failure | null): string {
  switch (failure?.code) {
    case 'forbidden':
      return m.chat_reason_forbidden();
    case 'confirm_mention':
      return m.chat_reason_many();
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
