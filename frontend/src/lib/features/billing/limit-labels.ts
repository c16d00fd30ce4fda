/** Labels and formats of the limits of a plan. */
import type { QuotaMetric, StorageUse } from './api.ts';
import { formatBytes } from '#lib/i18n/bytes.ts';
import { count } from '#lib/i18n/amounts.ts';
import { m } from '#lib/paraglide/messages.js';
import { quotaName } from './components/quota-labels.ts';

export function limitName(metric: QuotaMetric): string {
  if (metric === 'storage') return m.money_quota_storage();
  if (metric === 'members') return m.money_quota_members();
  return quotaName(metric);
}

/** Formats the limit of a metric. */
export function limitAmount(metric: QuotaMetric, amount: number): string {
  return metric === 'storage' ? formatBytes(amount) : count(amount);
}

/** Storage usage with its limit: “3.2 MB of 10 GB”. */
export function storageLabel({ bytes, quota_bytes }: StorageUse): string {
  const used = formatBytes(bytes);
  return quota_bytes === null ? used : m.storage_of({ used, limit: formatBytes(quota_bytes) });
}
