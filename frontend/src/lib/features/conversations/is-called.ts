import type { Mention } from '#lib/api/types.ts';

/** Whether it calls the person with that id, by name or with everybody. */
export function isCalled(mentions: readonly Mention[], me: string | null): boolean {
  return mentions.some(({ kind, id }) => kind === 'all' || kind === 'here' || (kind === 'user' && id === me));
}
