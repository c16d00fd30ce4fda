import { expect, it } from 'vitest';
import { page } from 'vitest/browser';
import { createTestApp } from '#lib/testing/app.ts';
import { render } from '#lib/testing/render.svelte.ts';
import type { Plan, Subscription } from '../api.ts';
import { SubscriptionStore } from '../stores/subscription.svelte.ts';
import ChangePlan from './change-plan.svelte';

const DAY = 86_400_000;
const MICRO = 1_000_000;
const usd = (amount: number) => ({ amount, currency: 'USD' });
const planOf = (name: string, credits: number, interval = 'month') =>
  ({ id: name, name, interval, credits: credits * MICRO, prices: [usd(2_400)], quotas: {} }) as unknown as Plan;

/** Renders the change of a plan with 2,000 credits in the middle of its period. */
function renderChange(
  plan: Plan,
  { seats = null, takesEffectAt = null }: { seats?: number | null; takesEffectAt?: string | null }
) {
  const subscription = {
    plan: planOf('Start', 2_000),
    period_start: new Date(Date.now() - 15 * DAY).toISOString(),
    period_end: new Date(Date.now() + 15 * DAY).toISOString(),
    seats,
    seats_used: seats
  } as unknown as Subscription;
  const testApp = createTestApp({
    'POST /subscription/change/preview': {
      credit: usd(0),
      due_now: usd(5_500),
      excess: [],
      kind: 'upgrade',
      next: usd(7_900),
      seats_missing: 0,
      takes_effect_at: takesEffectAt
    }
  });
  const store = new SubscriptionStore(testApp.app.api);
  render(ChangePlan, { store, subscription, plan, onclose: () => undefined }, { in: testApp });
}

it('says how many credits an upgrade adds now, and how many come later', async () => {
  renderChange(planOf('Studio', 8_000), {});
  const text = 'You keep your credits and get about 3,000 more now. After this period you get 8,000 credits a month.';
  await expect.element(page.getByText(text)).toBeVisible();
});

it('says what each member with a seat gets', async () => {
  renderChange(planOf('Studio', 8_000), { seats: 5 });
  await expect.element(page.getByText(/^Each member with a seat .* about 3,000 more now/)).toBeVisible();
});

it('says until when the credits stay if the change comes later', async () => {
  renderChange(planOf('Basic', 500), { takesEffectAt: '2030-12-25T00:00:00Z' });
  const text = 'You keep your credits until 25 December 2030. Then Basic gives you 500 credits a month.';
  await expect.element(page.getByText(text)).toBeVisible();
});

it('says that the credits don’t change', async () => {
  renderChange(planOf('Studio', 2_000), {});
  await expect.element(page.getByText('Your credits don’t change.')).toBeVisible();
});
