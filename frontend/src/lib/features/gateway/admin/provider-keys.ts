import type { ProviderKey } from '../api.ts';

type KeySuffix = Pick<ProviderKey, 'has_key' | 'tail'>;

/** By what an operator knows a key: its last characters; dots for one that is too short to show any; a dash where none is needed. */
export function tailOf({ has_key, tail }: KeySuffix): string {
  return tail ?? (has_key ? '••••' : '–');
}

/** The same where nothing beside it says that it is the end of a key. */
export function keySuffix(key: KeySuffix): string {
  return key.tail === null ? tailOf(key) : `…${key.tail}`;
}
