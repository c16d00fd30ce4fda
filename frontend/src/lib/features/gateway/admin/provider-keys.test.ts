import { expect, it } from 'vitest';
import { keySuffix, tailOf } from './provider-keys.ts';

it.each([
  { key: { has_key: true, tail: '0001' }, tail: '0001', end: '…0001' },
  { key: { has_key: true, tail: null }, tail: '••••', end: '••••' },
  { key: { has_key: false, tail: null }, tail: '–', end: '–' }
])('shows $key as $end', ({ key, tail, end }) => {
  expect([tailOf(key), keySuffix(key)]).toEqual([tail, end]);
});
