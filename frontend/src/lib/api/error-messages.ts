import { untilTime } from '#lib/i18n/dates.ts';
import { m } from '#lib/paraglide/messages.js';
import { getLocale } from '#lib/i18n/locale.ts';
import { ApiError, type Details, type FieldError } from './client.ts';
import { inWords } from './field-errors.svelte.ts';
import { waitText } from './wait-labels.ts';

/** Error of a request that the server rejected. */
export type Refused = Pick<ApiError, 'code' | 'message'> & {
  readonly details?: Details | undefined;
  readonly retryAfter?: number | undefined;
  readonly fields?: readonly FieldError[] | undefined;
};

/** Error codes for which the app shows its own text in every language, because it fits the screen better than the server's message. */
const OWN: Record<string, (refused: Refused) => string> = {
  network: m.error_network,
  timeout: m.error_timeout,
  invalid_credentials: m.error_invalid_credentials,
  too_many_signins: ({ retryAfter }) => m.error_too_many_signins({ wait: waitText(retryAfter ?? 60) }),
  too_many_answers: m.error_too_many_answers,
  rate_limited: ({ retryAfter }) => m.error_rate_limited({ wait: waitText(retryAfter ?? 1) }),
  address_banned: ({ retryAfter }) => m.error_address_banned({ wait: waitText(retryAfter ?? 60) }),
  email_taken: m.error_email_taken,
  password_wrong: m.error_password_wrong,
  mfa_invalid: m.error_mfa_invalid,
  fresh_sign_in_required: m.error_fresh_sign_in,
  name_taken: m.error_name_taken,
  default_channel: m.error_default_channel,
  archived: m.error_archived,
  not_a_member: m.error_not_a_member,
  removed: m.error_removed,
  account_suspended: m.error_account_suspended,
  last_admin: m.error_last_admin,
  last_method: m.error_last_method,
  storage_full: m.error_storage_full,
  plan_changed: m.error_plan_changed,
  gateway_off: m.error_gateway_off,
  out_of_credits: m.error_out_of_credits,
  quota_reached: quotaReached,
  quota_exceeded: ({ details }) => (details?.next === 'change_plan' ? m.error_no_space_in_plan() : m.error_no_space()),
  budget_exceeded: budgetExceeded,
  // Error code of a proxy in front of the server that rejects large uploads.
  http_413: m.error_proxy_too_large,
  http_502: m.error_proxy_away,
  http_504: m.error_proxy_away
};

/** Error codes for which the app has a text in other languages only. English readers get the server's message, which is more specific. */
const TRANSLATED: Record<string, () => string> = {
  forbidden: m.error_forbidden,
  not_found: m.error_not_found,
  signup_closed: m.error_signup_closed,
  already_member: m.error_already_member,
  confirm_mention: m.error_confirm_mention,
  owner_must_transfer: m.error_owner_must_transfer,
  wrong_state: m.error_wrong_state,
  stale: m.error_stale,
  unauthenticated: m.error_unauthenticated,
  refresh_reused: m.error_unauthenticated,
  token_invalid: m.error_link_over,
  invitation_expired: m.error_link_over,
  too_large: m.error_too_large,
  too_many: m.error_too_many,
  type_refused: m.error_type_refused,
  too_many_connections: m.error_too_many_connections
};

/** Returns a message for the user: what has happened and what to do next. */
export function errorMessage(error: unknown): string {
  if (!(error instanceof ApiError)) return m.error_unknown();
  const own = OWN[error.code];
  if (own) return own(error);
  if (error.status === 503) return m.error_unavailable();
  if (error.status >= 500) return m.error_server();
  return error.code.startsWith('http_') ? m.error_proxy() : translated(error);
}

/** Returns the message for a stored rejection, of which only code, message and details are known. */
export function translated(refused: Refused): string {
  const { code, message, fields } = refused;
  // Requests without a form, such as a question to an assistant, show the message of the first invalid field instead.
  const said = getLocale() === 'en' ? undefined : (TRANSLATED[code]?.() ?? (fields?.[0] && inWords(fields[0])));
  return OWN[code]?.(refused) ?? said ?? message;
}

function quotaReached({ details }: Refused): string {
  if (details?.metric === 'members') return m.error_quota_members();
  const time = timeUntilRenewal(details);
  return time ? m.error_quota_today({ time }) : m.error_quota_reached();
}

function budgetExceeded({ details }: Refused): string {
  const used = details?.scope === 'workspace' ? m.error_budget_workspace() : m.error_budget_exceeded();
  const time = timeUntilRenewal(details);
  return time ? `${used} ${m.error_starts_anew({ time })}` : used;
}

/** Text with the time until the quota renews; null if that is unknown. */
function timeUntilRenewal(details: Details | undefined): string | null {
  return typeof details?.resets_at === 'string' ? untilTime(details.resets_at) : null;
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

/** Returns the message about one field of a form; undefined if the server has not rejected that field. */
export function fieldError(error: unknown, field: string): string | undefined {
  if (!(error instanceof ApiError)) return undefined;
  const found = error.fields.find((entry) => entry.field === field);
  if (!found || getLocale() === 'en') return found?.message;
  const rule = field === 'password' ? PASSWORD_RULES[found.code] : undefined;
  return rule ? m.auth_password_unmet({ rule: rule() }) : (inWords(found) ?? found.message);
}
