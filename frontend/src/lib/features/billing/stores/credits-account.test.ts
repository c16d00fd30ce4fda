import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ApiError, type Api } from '#lib/api/client.ts';
import { CreditsAccountStore } from './credits-account.svelte.ts';
import { PaymentWatchStore } from './payment-watch.svelte.ts';
import { FakeLiveUpdates } from '#lib/features/conversations/store-testing.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Fake server whose payment passes through these states; the last one stays. */
function serverOf(...answers: (string | ApiError)[]) {
  const get = vi.fn(async () => {
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer instanceof ApiError) throw answer;
    return { id: 'p1', status: answer };
  });
  return { api: { get } as unknown as Api, get };
}

it('polls a payment until it has ended', async () => {
  const { api, get } = serverOf('created', 'pending', 'paid');
  const watch = new PaymentWatchStore(api, 'p1');
  const stop = watch.follow(new FakeLiveUpdates());
  await vi.advanceTimersByTimeAsync(0);
  expect(watch.payment.value?.status).toBe('created');
  await vi.advanceTimersByTimeAsync(60_000);
  expect(watch.payment.value?.status).toBe('paid');
  expect(get).toHaveBeenCalledTimes(3);
  stop();
});

it('reloads at once after a quota update', async () => {
  const { api } = serverOf('pending', 'paid');
  const live = new FakeLiveUpdates();
  const watch = new PaymentWatchStore(api, 'p1');
  watch.follow(live);
  await vi.advanceTimersByTimeAsync(0);
  live.receive({ type: 'quota.updated', payload: { plan: null, credits: null, quotas: [], trial_ends_at: null } });
  await vi.advanceTimersByTimeAsync(0);
  expect(watch.payment.value?.status).toBe('paid');
});

it('continues while the server is away and stops for an unknown payment', async () => {
  const { api, get } = serverOf(new ApiError(0, 'network', 'away'), 'pending', new ApiError(404, 'not_found', 'gone'));
  const watch = new PaymentWatchStore(api, 'p1');
  watch.follow(new FakeLiveUpdates());
  await vi.advanceTimersByTimeAsync(120_000);
  expect(get).toHaveBeenCalledTimes(3);
  expect(watch.payment.error).toBeInstanceOf(ApiError);
});

it('stops polling when unfollowed', async () => {
  const { api, get } = serverOf('pending');
  const stop = new PaymentWatchStore(api, 'p1').follow(new FakeLiveUpdates());
  await vi.advanceTimersByTimeAsync(0);
  stop();
  await vi.advanceTimersByTimeAsync(120_000);
  expect(get).toHaveBeenCalledTimes(1);
});

it('starts one payment per order, even if requested repeatedly', async () => {
  const post = vi.fn(async () => ({ payment_id: 'p1', redirect_url: '', expires_at: '' }));
  const money = new CreditsAccountStore({ post } as unknown as Api);
  await money.startPayment('plan', { gateway: 'stripe' }, { currency: 'EUR', amount: 600 });
  await money.startPayment('plan', { gateway: 'stripe' }, { currency: 'EUR', amount: 600 });
  await money.startPayment('plan', { gateway: 'momo' }, { currency: 'VND', amount: 149_000 });
  const keys = post.mock.calls.map((call) => (call as unknown[])[2]);
  expect(keys[0]).toEqual(keys[1]);
  expect(keys[0]).not.toEqual(keys[2]);
});

it('follows quota updates', async () => {
  const live = new FakeLiveUpdates();
  const money = new CreditsAccountStore({} as Api);
  const leave = money.follow(live);
  expect(money.isCharging).toBeNull();
  const credits = { balance: 5, held: 0, available: 5 };
  live.receive({ type: 'quota.updated', payload: { plan: null, credits, quotas: [], trial_ends_at: null } });
  expect(money.isCharging).toBe(true);
  leave();
});
