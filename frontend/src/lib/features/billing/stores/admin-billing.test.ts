import { expect, it, vi } from 'vitest';
import { ApiError, type Api } from '#lib/api/client.ts';
import { AdminPaymentsStore, AdminPaymentStore } from './admin-billing.svelte.ts';

const detailsWith = (state: string) => ({ id: 'p1', refunds: [{ id: 'r1', state }] });

it('shows a decided refund without reloading', async () => {
  const get = vi.fn(async () => detailsWith('pending'));
  const post = vi.fn(async () => detailsWith('done'));
  const store = new AdminPaymentStore({ get, post } as unknown as Api, 'p1');
  await store.payment.load();
  await store.decide('r1', 'done', 'It is on the statement');
  expect(post).toHaveBeenCalledWith('/admin/payments/p1/refunds/r1/decide', {
    decision: 'done',
    reason: 'It is on the statement'
  });
  expect(store.payment.value?.refunds[0]?.state).toBe('done');
  expect(get).toHaveBeenCalledTimes(1);
});

it('reloads when the refund has ended meanwhile, and reports it', async () => {
  const get = vi.fn().mockResolvedValueOnce(detailsWith('pending')).mockResolvedValue(detailsWith('failed'));
  const post = vi.fn().mockRejectedValue(new ApiError(409, 'wrong_state', 'This refund has already ended.'));
  const store = new AdminPaymentStore({ get, post } as unknown as Api, 'p1');
  await store.payment.load();
  await expect(store.decide('r1', 'done', 'late')).rejects.toBeInstanceOf(ApiError);
  await vi.waitFor(() => expect(store.payment.value?.refunds[0]?.state).toBe('failed'));
});

it('counts payments with stuck refunds', async () => {
  const get = vi.fn(async () => ({ items: [], total: 2, page: 1, page_size: 1 }));
  expect(await new AdminPaymentsStore({ get } as unknown as Api).stuck()).toBe(2);
  expect(get).toHaveBeenCalledWith('/admin/payments', { refund: 'stuck', page: 1, page_size: 1 });
});
