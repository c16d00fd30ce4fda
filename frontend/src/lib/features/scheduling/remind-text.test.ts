import { describe, expect, it } from 'vitest';
import { parseReminder } from './remind-text.ts';

// This day is a Wednesday.
const NOW = new Date(2026, 10, 25, 14, 0);
const input = (text: string, locale = 'en') => {
  const found = parseReminder(text, locale, NOW);
  return found && [found.at.getTime(), found.note];
};
const at = (day: number, hour: number, minute = 0) => new Date(2026, 10, day, hour, minute).getTime();

describe('reminder text', () => {
  it('parses a leading time', () => {
    expect(input('me in 20 minutes to call Ben')).toEqual([at(25, 14, 20), 'call Ben']);
    expect(input('me tomorrow at 9 to send the offer')).toEqual([at(26, 9), 'send the offer']);
    expect(input('at 4pm stand up')).toEqual([at(25, 16), 'stand up']);
    expect(input('me in 2 hours')).toEqual([at(25, 16), '']);
  });

  it('parses a trailing time', () => {
    expect(input('me to call Ben tomorrow at 10:30')).toEqual([at(26, 10, 30), 'call Ben']);
    expect(input('me about the 3 invoices on Friday at 8')).toEqual([at(27, 8), 'the 3 invoices']);
  });

  it('defaults to the morning of a day', () => {
    expect(input('me tomorrow to send the offer')).toEqual([at(26, 9), 'send the offer']);
    expect(input('me on Friday of lunch')).toEqual([at(27, 9), 'lunch']);
  });

  it('parses Vietnamese', () => {
    expect(input('tôi ngày mai lúc 9 giờ để gửi báo giá', 'vi')).toEqual([at(26, 9), 'gửi báo giá']);
    expect(input('tôi trong 20 phút để gọi Ben', 'vi')).toEqual([at(25, 14, 20), 'gọi Ben']);
    expect(input('me in 20 minutes to call Ben', 'vi')).toEqual([at(25, 14, 20), 'call Ben']);
  });

  it('has no time', () => {
    expect(input('me to call Ben')).toBeNull();
    expect(input('')).toBeNull();
  });
});
