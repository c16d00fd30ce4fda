import { describe, expect, it, vi } from 'vitest';
import { localTime, localTimeElsewhere } from './local-time.ts';

vi.stubGlobal('navigator', { languages: ['en-GB'] });

const NOW = new Date('2026-11-25T17:05:00Z');

/** Time zone with an offset from UTC, in hours. */
function zone(hours: number): string {
  const ahead = hours - NOW.getTimezoneOffset() / 60;
  // The signs in the names of these zones are inverted.
  return ahead === 0 ? 'Etc/GMT' : `Etc/GMT${ahead > 0 ? '-' : '+'}${Math.abs(ahead)}`;
}

describe('local time', () => {
  it('states the difference to the reader’s time', () => {
    expect(localTime(zone(2), NOW)).toMatch(/^\d\d:05 local time \(2 h ahead of you\)$/);
    expect(localTime(zone(-3), NOW)).toMatch(/^\d\d:05 local time \(3 h behind you\)$/);
    expect(localTime(zone(0), NOW)).toMatch(/^\d\d:05 local time$/);
    expect(localTime(zone(2), NOW, true)).toMatch(/^\d\d:05 local time$/);
    expect(localTime('Asia/Kolkata', NOW)).toMatch(/^22:35 local time/);
    expect(localTime('Asia/Ho_Chi_Minh', NOW)).toMatch(/^00:05 local time/);
  });

  it('is listed only if it differs', () => {
    expect(localTimeElsewhere(zone(1), NOW)).toMatch(/^\d\d:05 local time$/);
    expect(localTimeElsewhere(zone(0), NOW)).toBeUndefined();
  });

  it('is omitted for an unknown time zone', () => {
    expect(localTime('Mars/Olympus', NOW)).toBeUndefined();
    expect(localTimeElsewhere('Mars/Olympus', NOW)).toBeUndefined();
  });
});
