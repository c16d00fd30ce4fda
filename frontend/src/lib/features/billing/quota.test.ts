import { expect, it } from 'vitest';
import type { Entitlements, QuotaUse } from './api.ts';
import { QuotaStore } from './quota.svelte.ts';
import { FakeLiveUpdates } from '#lib/features/conversations/store-testing.ts';

const TOMORROW = '2026-11-24T00:00:00Z';

async function shortageOf(quotas: QuotaUse[], available = 5_000_000, needsCredits = true) {
  const credits = { balance: available, held: 0, available, owed: 0, granted: 5_000_000 };
  const own: Entitlements = { plan: null, credits, quotas, trial_ends_at: null };
  const quota = new QuotaStore({ get: () => Promise.resolve(own as never) }, new FakeLiveUpdates(), undefined);
  await quota.entitlements.load();
  return quota.shortage(needsCredits);
}

it('blocks questions for renewable quotas, not for stored amounts', async () => {
  const storage: QuotaUse = { metric: 'storage', used: 9, limit: 9, resets_at: null };
  const members: QuotaUse = { metric: 'members', used: 3, limit: 2, resets_at: null };
  expect(await shortageOf([storage, members])).toBeNull();
  const answers: QuotaUse = { metric: 'answers', used: 50, limit: 50, resets_at: TOMORROW };
  expect(await shortageOf([storage, answers])).toEqual({ kind: 'quota', metric: 'answers', resets: TOMORROW });
});

it('requires no credits for a free model, but respects plan quotas', async () => {
  const answers: QuotaUse = { metric: 'answers', used: 50, limit: 50, resets_at: TOMORROW };
  expect(await shortageOf([], 0)).toEqual({ kind: 'credits' });
  expect(await shortageOf([], 0, false)).toBeNull();
  expect(await shortageOf([answers], 0)).toEqual({ kind: 'credits' });
  expect(await shortageOf([answers], 0, false)).toEqual({ kind: 'quota', metric: 'answers', resets: TOMORROW });
});
