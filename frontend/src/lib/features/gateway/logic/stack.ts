/** Cost of each day, divided into that of the most expensive models and that of all others. */
import type { UsageGroup } from '../api.ts';
import type { ModelDays } from '../stores/usage.svelte.ts';

export interface Stack {
  /** Names of the models; null stands for all other models. */
  readonly models: readonly (string | null)[];
  /** Cost by day, and within a day by model in the order of `models`. */
  readonly days: readonly (readonly number[])[];
}

/** Divides the cost of each day. The parts of a day add up to its total. */
export function stackOf(days: readonly UsageGroup[], models: readonly ModelDays[]): Stack {
  const known = models.map((one) => new Map(one.days.map(({ key, cost }) => [key, cost])));
  const parts = days.map(({ key, cost }) => {
    const costs = known.map((one) => one.get(key) ?? 0);
    const rest = cost - costs.reduce((sum, one) => sum + one, 0);
    return [...costs, Math.max(0, rest)];
  });
  const hasRest = parts.some((part) => (part.at(-1) ?? 0) > 0);
  const names = models.map(({ model }) => model);
  return hasRest || names.length === 0
    ? { models: [...names, null], days: parts }
    : { models: names, days: parts.map((part) => part.slice(0, -1)) };
}
