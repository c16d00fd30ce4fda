import type { DailyMetric } from '../api.ts';
import { m } from '#lib/paraglide/messages.js';

/** Label of a daily quota. */
export function quotaName(metric: DailyMetric): string {
  switch (metric) {
    case 'answers':
      return m.money_quota_answers();
    case 'gateway_calls':
      return m.money_quota_calls();
    case 'tokens':
      return m.money_quota_tokens();
    default:
      return metric;
  }
}
