import { expect, it, vi } from 'vitest';
import { number } from './numbers.ts';

it('formats numbers by the reader’s region in the app’s language', () => {
  vi.stubGlobal('navigator', { languages: ['de-DE'] });
  expect([number(0), number(999), number(1_204)]).toEqual(['0', '999', '1,204']);
  expect([number(0.346, 2), number(0.346), number(-3)]).toEqual(['0.35', '0', '-3']);
  vi.stubGlobal('navigator', { languages: ['de-DE', 'en-IN'] });
  expect(number(1_204_000)).toBe('12,04,000');
});
