/** Labels of the outcome of a call. */
import { m } from '#lib/paraglide/messages.js';
import type { UsageRefusal } from '../api.ts';

/** HTTP status of a call whose client has disconnected. */
const CLIENT_LEFT = 499;
/** HTTP statuses from this one on are failures. */
const FAILED = 400;

export function callState(status: number): { look: string; name: string } {
  if (status < FAILED) return { look: 'ok', name: m.usage_succeeded() };
  if (status === CLIENT_LEFT) return { look: 'warn', name: m.usage_left() };
  return { look: 'bad', name: m.usage_failed() };
}

export const refusalNames: Record<UsageRefusal, () => string> = {
  requests_per_minute: m.usage_refusal_rpm,
  tokens_per_minute: m.usage_refusal_tpm,
  parallel_requests: m.usage_refusal_parallel,
  key_budget: m.usage_refusal_key_budget,
  user_budget: m.usage_refusal_user_budget,
  workspace_budget: m.usage_refusal_workspace_budget,
  end_user_budget: m.usage_refusal_end_user_budget,
  model_budget: m.usage_refusal_model_budget,
  tag_budget: m.usage_refusal_tag_budget,
  credits: m.usage_refusal_credits,
  quota: m.usage_refusal_quota,
  no_price: m.usage_refusal_price,
  unavailable: m.usage_refusal_unavailable
};
