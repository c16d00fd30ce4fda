/** Conversion between a plan and its form, and validation of the form. */
import type { Plan, PlanDefinition, Price, QuotaMetric } from '../api.ts';
import { formatEditableCredits, microOf } from '#lib/i18n/amounts.ts';
import { editablePrice, parseMinorUnits } from '../logic/amounts.ts';
import { m } from '#lib/paraglide/messages.js';

export const METRICS: readonly QuotaMetric[] = ['answers', 'gateway_calls', 'tokens', 'storage', 'members'];

/** Unit in which storage is entered, in bytes. */
const GIGABYTE = 1_024 ** 3;

export type PlanField = 'name' | 'credits' | 'features' | 'trial_days' | QuotaMetric;

/** Price as typed into the form. */
export interface PriceLine {
  currency: string;
  text: string;
}

export function valuesOf(plan: Plan | null): Record<PlanField, string> {
  const quota = (metric: QuotaMetric) => plan?.quotas[metric]?.toString() ?? '';
  return {
    name: plan?.name ?? '',
    credits: formatEditableCredits(plan?.credits),
    features: plan?.features.join('\n') ?? '',
    trial_days: plan?.trial_days ? String(plan.trial_days) : '',
    answers: quota('answers'),
    gateway_calls: quota('gateway_calls'),
    tokens: quota('tokens'),
    storage: plan?.quotas.storage === undefined ? '' : String(plan.quotas.storage / GIGABYTE),
    members: quota('members')
  };
}

export function linesOf(plan: Plan | null): PriceLine[] {
  return plan?.prices.map((price) => ({ currency: price.currency, text: editablePrice(price) })) ?? [];
}

const limit = (value: string) => (/^\d{0,15}$/.test(value.trim()) ? undefined : m.admin_plan_quota_wrong());

export const problems: Record<PlanField, (value: string) => string | undefined> = {
  name: (value) => (value.trim() ? undefined : m.admin_plan_name_missing()),
  credits: (value) => (microOf(value) === null ? m.admin_plan_credits_wrong() : undefined),
  features: () => undefined,
  trial_days: (value) => (/^\d{0,3}$/.test(value.trim()) ? undefined : m.admin_plan_trial_wrong()),
  answers: limit,
  gateway_calls: limit,
  tokens: limit,
  storage: (value) => (/^(\d{1,6}([.,]\d+)?)?$/.test(value.trim()) ? undefined : m.admin_plan_quota_wrong()),
  members: limit
};

/** Returns a message about the first invalid price; undefined if all are valid. */
export function priceProblem(lines: readonly PriceLine[]): string | undefined {
  if (lines.length === 0) return m.admin_plan_prices_none();
  return lines.every(({ text, currency }) => (parseMinorUnits(text, currency) ?? 0) > 0)
    ? undefined
    : m.admin_plan_prices_wrong();
}

export function definitionOf(values: Record<PlanField, string>, lines: readonly PriceLine[]): PlanDefinition {
  const quotas = METRICS.filter((metric) => values[metric].trim() !== '').map((metric) => [
    metric,
    metric === 'storage'
      ? Math.round(Number(values.storage.trim().replace(',', '.')) * GIGABYTE)
      : Number(values[metric].trim())
  ]);
  return {
    name: values.name.trim(),
    prices: lines.map(({ currency, text }): Price => ({ currency, amount: parseMinorUnits(text, currency) ?? 0 })),
    credits: microOf(values.credits) ?? 0,
    trial_days: Number(values.trial_days.trim()),
    quotas: Object.fromEntries(quotas) as PlanDefinition['quotas'],
    features: values.features
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '')
  };
}
