import { expect, it, vi } from 'vitest';
import { number } from './numbers.ts';

it('writes a number in the app’s language, as where the reader lives, and not in the browser’s', () => {
  vi.stubGlobal('navigator', { languages: ['de-DE'] });
  expect([number(1_204), number(0.346, 2)]).toEqual(['1,204', '0.35']);
  vi.stubGlobal('navigator', { languages: ['de-DE', 'en-IN'] });
  expect(number(1_204_000)).toBe('12,04,000');
});
