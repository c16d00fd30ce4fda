import { m } from '#lib/paraglide/messages.js';

const SENTENCES: Record<string, () => string> = {
  oauth_state: m.auth_error_oauth_state,
  oauth_denied: m.auth_error_oauth_denied,
  oauth_invalid: m.auth_error_oauth_invalid,
  signup_closed: m.error_signup_closed,
  email_taken: m.error_email_taken
};

/** Returns the message for the query parameter `error`. Its value is untrusted, so it is never shown itself. */
export function authError(code: string): string {
  return (SENTENCES[code] ?? m.auth_error_other)();
}
