import type { Budget } from '#lib/features/gateway/api.ts';

/** Used share of the budget from which a warning is shown. */
const LOW = 0.9;

export function budgetState({ spent, limit }: Budget): 'well' | 'low' | 'used-up' {
  if (spent >= limit) return 'used-up';
  return spent >= limit * LOW ? 'low' : 'well';
}
