import type { Budget } from '#lib/features/gateway/api.ts';

/** From so much on, it is nearly used up. */
const LOW = 0.9;

export function budgetState({ spent, limit }: Budget): 'well' | 'low' | 'used-up' {
  if (spent >= limit) return 'used-up';
  return spent >= limit * LOW ? 'low' : 'well';
}
