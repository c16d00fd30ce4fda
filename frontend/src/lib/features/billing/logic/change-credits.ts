/** Credits of a plan change, as the server grants them (docs/payments.md). */
import type { Plan, Subscription } from '../api.ts';

type Terms = Pick<Plan, 'credits' | 'interval'>;
type Period = Pick<Subscription, 'period_start' | 'period_end'> & { readonly plan: Terms };

/**
 * Returns the credits that a change at once grants for each seat, in millionths. The credits of the old plan were granted with its period, so those of
 * the rest of it are deducted.
 */
export function creditsOfChange({ period_start, period_end, plan: old }: Period, plan: Terms, now: number): number {
  const [start, end] = [Date.parse(period_start), Date.parse(period_end)];
  const rest = end > start ? Math.max(0, end - now) / (end - start) : 0;
  const gained = plan.interval === old.interval ? plan.credits * rest : plan.credits;
  return Math.max(0, Math.floor(gained - old.credits * rest));
}
