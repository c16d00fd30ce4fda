import type { ProviderKey } from '../api.ts';

type KeySuffix = Pick<ProviderKey, 'has_key' | 'tail'>;

/** Identification of a key: its last characters, dots if it is too short, a dash if none is needed. */
export function tailOf({ has_key, tail }: KeySuffix): string {
  return tail ?? (has_key ? '••••' : '–');
}

/** The same with a prefix that marks it as a suffix. */
export function keySuffix(key: KeySuffix): string {
  return key.tail === null ? tailOf(key) : `…${key.tail}`;
}
