import type { Mention } from '#lib/api/types.ts';

/** Whether a message mentions the account, by name, `@all` or `@here`. */
export function isMentioned(mentions: readonly Mention[], me: string | null): boolean {
  return mentions.some(({ kind, id }) => kind === 'all' || kind === 'here' || (kind === 'user' && id === me));
}
