import { expect, test } from 'vitest';
import { storageLabel } from './limit-labels.ts';

const GB = 1_024 ** 3;

test('shows the storage limit if there is one', () => {
  expect(storageLabel({ bytes: 3.2 * 1_024 ** 2, quota_bytes: 10 * GB })).toBe('3.2 MB of 10 GB');
  expect(storageLabel({ bytes: 0, quota_bytes: 10 * GB })).toBe('0 bytes of 10 GB');
  expect(storageLabel({ bytes: 700, quota_bytes: null })).toBe('700 bytes');
});
