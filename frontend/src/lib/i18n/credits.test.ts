import { expect, it, vi } from 'vitest';
import { credits, formatCredits } from './credits.ts';

vi.stubGlobal('navigator', { languages: ['en-US'] });

it('have a readable number of digits', () => {
  const amounts = [0, 1, 1_500, 24_000, 900_000, 1_234_567, 12_345_678, 38_400_000, 402_810_000, 1_203_400_000];
  expect(amounts.map(credits)).toEqual([
    '0',
    '< 0.001',
    '0.002',
    '0.024',
    '0.9',
    '1.235',
    '12.35',
    '38.4',
    '402.8',
    '1,203'
  ]);
  expect([-12_345_678, -402_810_000].map(credits)).toEqual(['-12.35', '-402.8']);
});

it('are pluralised, with the singular for values that round to one', () => {
  expect([0, 900_000, 1_000_000, 1_000_400, 1_001_000, 2_000_000_000].map(formatCredits)).toEqual([
    '0 credits',
    '0.9 credits',
    '1 credit',
    '1 credit',
    '1.001 credits',
    '2,000 credits'
  ]);
});
