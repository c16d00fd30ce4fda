/** Everything that a plan limits. */
import type { QuotaMetric } from '#lib/api/money.ts';
import { inBytes } from '#lib/chat/bytes.ts';
import { count } from '#lib/gateway/amounts.ts';
import { m } from '#lib/paraglide/messages.js';
import { quotaName } from './quota-words.ts';

export function limitName(metric: QuotaMetric): string {
  if (metric === 'storage') return m.money_quota_storage();
  if (metric === 'members') return m.money_quota_members();
  return quotaName(metric);
}

/** So much of it. */
export function limitAmount(metric: QuotaMetric, amount: number): string {
  return metric === 'storage' ? inBytes(amount) : count(amount);
}
