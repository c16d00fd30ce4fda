/** Cost per day, split by the most expensive models. */
import type { UsageGroup } from '../api.ts';
import type { ModelDays } from '../stores/usage.svelte.ts';

export interface Stack {
  /** Null for all other models. */
  readonly models: readonly (string | null)[];
  /** Cost per day and model. */
  readonly days: readonly (readonly number[])[];
}

/** The parts of a day add up to its total. */
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
