import { m } from '#lib/paraglide/messages.js';
import { getLocale } from '#lib/paraglide/runtime.js';
import { ApiError } from './client.ts';

const TRANSLATED: Record<string, () => string> = {
  forbidden: m.error_forbidden,
  not_found: m.error_not_found,
  signup_closed: m.error_signup_closed,
  already_member: m.error_already_member,
  confirm_mention: m.error_confirm_mention,
  owner_must_transfer: m.error_owner_must_transfer,
  wrong_state: m.error_wrong_state,
  stale: m.error_stale,
  plan_changed: m.error_plan_changed,
  out_of_credits: m.error_out_of_credits,
  quota_reached: m.error_quota_reached,
  budget_exceeded: m.error_budget_exceeded
};

/** What a proxy before the server says, and not the server itself. */
const BY_PROXY: Record<string, () => string> = {
  http_413: m.error_proxy_too_large,
  http_502: m.error_proxy_away,
  http_504: m.error_proxy_away
};

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
    case 'too_many_answers':
      return m.error_too_many_answers();
    case 'rate_limited':
      return m.error_rate_limited({ wait: waitInWords(seconds ?? 1) });
    case 'address_banned':
      return m.error_address_banned({ wait: waitInWords(seconds ?? 60) });
    case 'email_taken':
      return m.error_email_taken();
    case 'password_wrong':
      return m.error_password_wrong();
    case 'mfa_invalid':
      return m.error_mfa_invalid();
    case 'fresh_sign_in_required':
      return m.error_fresh_sign_in();
    case 'name_taken':
      return m.error_name_taken();
    case 'default_channel':
      return m.error_default_channel();
    case 'archived':
      return m.error_archived();
    case 'not_a_member':
      return m.error_not_a_member();
    case 'removed':
      return m.error_removed();
    case 'account_suspended':
      return m.error_account_suspended();
    case 'last_admin':
      return m.error_last_admin();
    case 'last_method':
      return m.error_last_method();
  }
  const byProxy = BY_PROXY[error.code];
  if (byProxy) return byProxy();
  if (error.code === 'storage_full') return m.error_storage_full();
  if (error.status === 503) return m.error_unavailable();
  if (error.status >= 500) return m.error_server();
  return error.code.startsWith('http_') ? m.error_proxy() : translated(error);
}

/** The server's own sentence knows more of what was refused, but it speaks English. */
export function translated({ code, message }: Pick<ApiError, 'code' | 'message'>): string {
  return (getLocale() !== 'en' && TRANSLATED[code]?.()) || message;
}

/** “8 s”, “3 min”: short, because it stands in a sentence. */
export function waitInWords(seconds: number): string {
  return seconds < 90
    ? m.time_seconds({ count: Math.ceil(seconds) })
    : m.time_minutes({ count: Math.ceil(seconds / 60) });
}

/** On a button that works again in a while. */
export function waitLabel(seconds: number): string {
  return m.auth_wait({ wait: waitInWords(seconds) });
}

const PASSWORD_RULES: Record<string, () => string> = {
  too_short: m.auth_password_short,
  too_long: m.auth_password_long,
  no_upper: m.auth_rule_upper,
  no_lower: m.auth_rule_lower,
  no_digit: m.password_rule_digit,
  common: m.auth_rule_common,
  is_email: m.auth_rule_email
};

/** What the server says about one field of a form. */
export function fieldError(error: unknown, field: string): string | undefined {
  if (!(error instanceof ApiError)) return undefined;
  const found = error.fields.find((entry) => entry.field === field);
  const rule = field === 'password' && getLocale() !== 'en' ? PASSWORD_RULES[found?.code ?? ''] : undefined;
  return rule ? m.auth_password_unmet({ rule: rule() }) : found?.message;
}
