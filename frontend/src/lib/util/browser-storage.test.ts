import { describe, expect, it } from 'vitest';
import { GuardedStorage } from './browser-storage.ts';

function blocked(): Storage {
  throw new DOMException('blocked', 'SecurityError');
}

/** Storage with one value. If it is full, no other can be stored. */
function browserStorage(isFull: boolean): Storage {
  const values = new Map([['old', '1']]);
  return {
    get length() {
      return values.size;
    },
    key: (index: number) => [...values.keys()][index] ?? null,
    getItem: (key: string) => values.get(key) ?? null,
    setItem: (key: string, value: string) => {
      if (isFull) throw new DOMException('full', 'QuotaExceededError');
      values.set(key, value);
    },
    removeItem: (key: string) => void values.delete(key),
    clear: () => values.clear()
  };
}

const keysOf = (storage: GuardedStorage) => Array.from({ length: storage.length }, (_, index) => storage.key(index));

describe('GuardedStorage', () => {
  it('keeps values of a blocked storage in memory', () => {
    const storage = new GuardedStorage(blocked);
    expect(storage.getItem('a')).toBeNull();
    storage.setItem('a', '1');
    expect([storage.getItem('a'), keysOf(storage)]).toEqual(['1', ['a']]);
    storage.removeItem('a');
    expect([storage.getItem('a'), keysOf(storage)]).toEqual([null, []]);
  });

  it('keeps changes of a full storage in memory', () => {
    const browser = browserStorage(true);
    const storage = new GuardedStorage(() => browser);
    storage.setItem('old', '2');
    storage.setItem('new', '3');
    expect([storage.getItem('old'), storage.getItem('new'), keysOf(storage)]).toEqual(['2', '3', ['old', 'new']]);
  });

  it('writes to the browser', () => {
    const browser = browserStorage(false);
    const storage = new GuardedStorage(() => browser);
    storage.setItem('a', '1');
    expect([browser.getItem('a'), storage.getItem('a'), keysOf(storage)]).toEqual(['1', '1', ['old', 'a']]);
    storage.removeItem('a');
    expect(browser.getItem('a')).toBeNull();
  });
});
