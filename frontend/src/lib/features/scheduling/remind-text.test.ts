import { describe, expect, it } from 'vitest';
import { wishIn } from './remind-text.ts';

// A Wednesday.
const NOW = new Date(2026, 10, 25, 14, 0);
const wish = (text: string, locale = 'en') => {
  const found = wishIn(text, locale, NOW);
  return found && [found.at.getTime(), found.note];
};
const at = (day: number, hour: number, minute = 0) => new Date(2026, 10, day, hour, minute).getTime();

describe('what one is to be reminded of', () => {
  it('has a time before it', () => {
    expect(wish('me in 20 minutes to call Ben')).toEqual([at(25, 14, 20), 'call Ben']);
    expect(wish('me tomorrow at 9 to send the offer')).toEqual([at(26, 9), 'send the offer']);
    expect(wish('at 4pm stand up')).toEqual([at(25, 16), 'stand up']);
    expect(wish('me in 2 hours')).toEqual([at(25, 16), '']);
  });

  it('has a time behind it', () => {
    expect(wish('me to call Ben tomorrow at 10:30')).toEqual([at(26, 10, 30), 'call Ben']);
    expect(wish('me about the 3 invoices on Friday at 8')).toEqual([at(27, 8), 'the 3 invoices']);
  });

  it('is in the morning of a day', () => {
    expect(wish('me tomorrow to send the offer')).toEqual([at(26, 9), 'send the offer']);
    expect(wish('me on Friday of lunch')).toEqual([at(27, 9), 'lunch']);
  });

  it('is said in Vietnamese, too', () => {
    expect(wish('tôi ngày mai lúc 9 giờ để gửi báo giá', 'vi')).toEqual([at(26, 9), 'gửi báo giá']);
    expect(wish('tôi trong 20 phút để gọi Ben', 'vi')).toEqual([at(25, 14, 20), 'gọi Ben']);
    expect(wish('me in 20 minutes to call Ben', 'vi')).toEqual([at(25, 14, 20), 'call Ben']);
  });

  it('has no time', () => {
    expect(wish('me to call Ben')).toBeNull();
    expect(wish('')).toBeNull();
  });
});
