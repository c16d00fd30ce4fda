import { afterEach, expect, it, vi } from 'vitest';
import { bareClock, clock, exactTime, shortTime } from './dates.ts';
import { momentOf } from '#lib/features/scheduling/schedule.ts';
import { dayLabel, fullTime } from '#lib/i18n/relative-dates.ts';

const AT = new Date(2026, 10, 24, 14, 5, 9);

/** Replaces the space before “AM”, which differs between browsers. */
const plain = (text: string) => text.replace(/\s/g, ' ');
const reads = (...languages: string[]) => vi.stubGlobal('navigator', { languages });

afterEach(() => vi.unstubAllGlobals());

it('formats times by the reader’s region, whatever the language', () => {
  reads('en-US', 'en');
  expect([clock(AT), clock(new Date(2026, 0, 1, 0, 5)), bareClock(AT.getTime())].map(plain)).toEqual([
    '2:05 PM',
    '12:05 AM',
    '2:05'
  ]);
  reads('en-GB');
  expect([clock(AT), clock(new Date(2026, 0, 1, 0, 5)), bareClock(AT.getTime())]).toEqual(['14:05', '00:05', '14:05']);
  for (const languages of [['de-DE'], ['de-DE', 'en-US'], ['vi-VN', 'en']]) {
    reads(...languages);
    expect(clock(AT), languages.join()).toBe('14:05');
  }
  reads('de-DE');
  expect(clock(Date.UTC(2026, 0, 1, 22, 30), 'Asia/Kolkata')).toBe('04:00');
});

it('uses one format for all times', () => {
  const iso = AT.toISOString();
  const all = () => [shortTime(iso, AT), momentOf(AT), exactTime(iso), fullTime(AT.getTime())].map(plain);
  reads('en-US');
  for (const text of all()) expect(text).toMatch(/(^| )2:05(:09)? PM$/);
  reads('en-GB');
  for (const text of all()) expect(text).toMatch(/(^| )14:05(:09)?$/);
});

it('formats days by the reader’s region', () => {
  reads('en-GB');
  expect(dayLabel(AT.getTime(), AT.getTime())).toMatch(/^Today, Tuesday,? 24 November$/);
  reads('en-US');
  expect(dayLabel(AT.getTime(), AT.getTime())).toBe('Today, Tuesday, November 24');
});
