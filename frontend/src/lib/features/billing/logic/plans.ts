/** Order and features of plans. */
import type { Plan } from '../api.ts';
import { priceIn } from './amounts.ts';

const MICRO = 1_000_000;
const INTERVALS = ['month', 'year'];

/** Sorts subscriptions by interval (monthly first) and price, and credit packs by credits. Plans without a price in the currency come last. */
export function inOrder(plans: readonly Plan[], currency: string | undefined): Plan[] {
  const keysOf = (plan: Plan) => {
    const price = priceIn(plan, currency);
    return [
      INTERVALS.indexOf(plan.interval ?? 'month'),
      price && (currency === undefined || price.currency === currency) ? 0 : 1,
      plan.kind === 'credits' ? plan.credits : 0,
      price?.amount ?? Infinity
    ];
  };
  return plans
    .map((plan) => ({ plan, keys: keysOf(plan) }))
    .sort((a, b) => difference(a.keys, b.keys))
    .map(({ plan }) => plan);
}

/** Features of a plan, without the line that only repeats its number of credits. */
export function furtherFeatures({ features, credits }: Pick<Plan, 'features' | 'credits'>): string[] {
  const amount = new RegExp(`(?<![\\d.,])${credits / MICRO}(?![\\d.,]*\\d)`);
  return [...new Set(features)].filter(
    (feature) => !(/credits?/i.test(feature) && amount.test(withoutGroups(feature)))
  );
}

/** Removes thousands separators: “2,000”, “2.000” and “2 000” become 2000. */
function withoutGroups(text: string): string {
  return text.replace(/(?<=\d)[.,'’\u00a0\u202f ](?=\d{3}(?!\d))/g, '');
}

function difference(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((key, index) => key !== b[index]);
  const [one, other] = [a[at] ?? 0, b[at] ?? 0];
  return one < other ? -1 : one > other ? 1 : 0;
}
