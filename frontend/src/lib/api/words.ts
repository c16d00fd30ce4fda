import { m } from '#lib/paraglide/messages.js';
import { ApiError } from './client.ts';

/** What happened, and what to do next, as one sentence for a person. */
export function sentence(error: unknown): string {
  if (!(error instanceof ApiError)) return m.error_unknown();
  const seconds = error.retryAfter;
  switch (error.code) {
    case 'network':
      return m.error_network();
    case 'invalid_credentials':
      return m.error_invalid_credentials();
    case 'too_many_signins':
      return m.error_too_many_signins({ wait: waitInWords(seconds ?? 60) });
    case 'rate_limited':
      return m.error_rate_limited({ wait: waitInWords(seconds ?? 1) });
    case 'address_banned':
      return m.error_address_banned({ wait: waitInWords(seconds ?? 60) });
    case 'email_taken':
      return m.error_email_taken();
    case 'password_wrong':
      return m.error_password_wrong();
    case 'not_found':
      return m.error_not_found();
    case 'forbidden':
      return m.error_forbidden();
  }
  if (error.status === 503) return m.error_unavailable();
  if (error.status >= 500) return m.error_server();
  return error.message;
}

/** “8 s”, “3 min”: short, because it stands in a sentence. */
export function waitInWords(seconds: number): string {
  return seconds < 90
    ? m.time_seconds({ count: Math.ceil(seconds) })
    : m.time_minutes({ count: Math.ceil(seconds / 60) });
}

/** What the server says about one field of a form. */
export function fieldError(error: unknown, field: string): string | undefined {
  if (!(error instanceof ApiError)) return undefined;
  return error.fields.find((entry) => entry.field === field)?.message;
}
