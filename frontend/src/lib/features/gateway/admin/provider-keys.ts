import type { ProviderKey } from '../api.ts';

type KeySuffix = Pick<ProviderKey, 'has_key' | 'tail'>;

/** Text that identifies a key: its last characters, dots if it is too short to show any, or a dash if no key is needed. */
export function tailOf({ has_key, tail }: KeySuffix): string {
  return tail ?? (has_key ? '••••' : '–');
}

/** Text that identifies a key, with a prefix that shows that these are its last characters. */
export function keySuffix(key: KeySuffix): string {
  return key.tail === null ? tailOf(key) : `…${key.tail}`;
}
