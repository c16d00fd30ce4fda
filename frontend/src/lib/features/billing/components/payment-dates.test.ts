import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { overwriteLocale } from '#lib/i18n/locale.ts';
import { m } from '#lib/paraglide/messages.js';
import { shortDate, untilTime } from '#lib/i18n/dates.ts';

const ROOT = join(import.meta.dirname, '../../..');

afterEach(() => overwriteLocale('en'));

it('renders “Ends 3 May” and “Expires in 4 minutes”', () => {
  const now = new Date('2026-01-01T00:00:00Z');
  const [date, time] = [shortDate('2026-05-03T12:00:00Z', now), untilTime('2026-01-01T00:04:00Z', now)];
  expect(m.money_ends({ date })).toMatch(/^Ends (3 May|May 3)$/);
  expect(m.money_expires({ time })).toBe('Expires in 4 minutes');
  overwriteLocale('vi');
  expect(m.money_ends({ date: '3 tháng 5' })).toBe('Kết thúc ngày 3 tháng 5');
  expect(m.money_expires({ time: 'sau 4 phút' })).toBe('Hết hạn sau 4 phút');
});

it('passes dates and durations to the matching messages only', () => {
  const wrong = readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(svelte|ts)$/.test(name) && !name.endsWith('.test.ts'))
    .filter((name) => !/^(paraglide|api.generated)/.test(name))
    .flatMap(
      (name) => readFileSync(join(ROOT, name), 'utf8').match(/date: (until|long)Time\(|time: shortDate\(/g) ?? []
    );
  expect(wrong).toEqual([]);
});
