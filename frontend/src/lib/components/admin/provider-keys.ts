import type { ProviderKey } from '#lib/api/gateway.ts';

/** By what an operator knows a key: its last characters; dots for one that is too short to show any; none where none is needed. */
export function endOf({ tail }: Pick<ProviderKey, 'tail'>): string {
  if (tail === '') return '–';
  return tail.startsWith('•') ? tail : `…${tail}`;
}
