/** Texts about subscriptions and saved payment methods. */
import type { PaymentMethod, Subscription } from '../api.ts';
import { shortDate } from '#lib/i18n/dates.ts';
import { formatMoney } from '../logic/amounts.ts';
import { m } from '#lib/paraglide/messages.js';

/** Label of a card: “Visa 4242”. */
export function methodName({ brand, last4 }: Pick<PaymentMethod, 'brand' | 'last4'>): string {
  return m.sub_method({ brand: brand.charAt(0).toUpperCase() + brand.slice(1), last4 });
}

export function stateOf({ status, ends_at }: Subscription): { look: string; words: string } {
  if (status === 'past_due') return { look: 'bad', words: m.sub_past_due() };
  if (status === 'ended') return { look: '', words: m.sub_ended() };
  if (status === 'trialing') return { look: 'ok', words: m.sub_trialing() };
  return ends_at ? { look: 'warn', words: m.sub_ending() } : { look: 'ok', words: m.sub_active() };
}

/** Terms of a subscription: “$24.00 a month, renews 1 December with Visa 4242”. */
export function termsOf(subscription: Subscription): string {
  const { plan, price, status, ends_at, renews_at, trial_ends_at, method, period_end } = subscription;
  const tag = plan.interval === 'year' ? m.sub_price_year : m.sub_price_month;
  const facts = price ? [tag({ price: formatMoney(price) })] : [];
  const date = shortDate(renews_at ?? period_end);
  if (status === 'trialing' && trial_ends_at) facts.unshift(m.sub_trial_until({ date: shortDate(trial_ends_at) }));
  else if (ends_at) facts.push(m.sub_ends({ date: shortDate(ends_at) }));
  else if (status !== 'active') return facts.join(', ');
  else if (!subscription.auto_renews) facts.push(m.sub_renews_link({ date: shortDate(period_end) }));
  else facts.push(method ? m.sub_renews_with({ date, method: methodName(method) }) : m.sub_renews({ date }));
  return facts.join(', ');
}

/** Whether a card has expired. */
export function isExpired({ exp_month, exp_year }: PaymentMethod, now = new Date()): boolean {
  if (exp_month === null || exp_year === null) return false;
  return now >= new Date(exp_year, exp_month, 1);
}

/** Expiry of a card: “08/28”; null if unknown. */
export function expiryOf({ exp_month, exp_year }: PaymentMethod): string | null {
  if (exp_month === null || exp_year === null) return null;
  return `${String(exp_month).padStart(2, '0')}/${String(exp_year % 100).padStart(2, '0')}`;
}
