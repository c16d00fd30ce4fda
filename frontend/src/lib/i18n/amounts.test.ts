import { describe, expect, it, vi } from 'vitest';
import {
  average,
  formatExactCredits,
  formatEditableCredits,
  formatLedgerCredits,
  microOf,
  percent,
  seconds,
  tokens
} from './amounts.ts';

vi.stubGlobal('navigator', { languages: ['en-US'] });

describe('amounts', () => {
  it('are rounded for the reader', () => {
    expect([512, 1_203_400_000].map(formatExactCredits)).toEqual(['0.000512', '1,203.4']);
    expect([5_999_891_578, 7_999_998_000, 512].map(formatLedgerCredits)).toEqual(['5,999.89', '8,000', '0.000512']);
    expect(tokens(21_940)).toBe('21,940');
    expect(tokens(18_240_000)).toBe('18.2M');
    expect([average(10 / 30), average(0), average(12.4)]).toEqual(['0.3', '0', '12']);
    expect([seconds(0), seconds(410), seconds(11_200)]).toEqual(['< 0.1 s', '0.4 s', '11 s']);
    expect([percent(0, 0), percent(1, 250), percent(56, 100)]).toEqual(['0%', '0.4%', '56%']);
  });

  it('are parsed as typed, and nothing else is', () => {
    expect(microOf('12.5')).toBe(12_500_000);
    expect(microOf(' 0,000001 ')).toBe(1);
    expect(['', '-1', '1e3', '1.2345678', 'ten', '1,000.5'].map(microOf)).toEqual([null, null, null, null, null, null]);
    expect(formatEditableCredits(12_500_000)).toBe('12.5');
    expect(formatEditableCredits(null)).toBe('');
  });
});
