import { describe, expect, it } from 'vitest';
import type { Locale } from '#lib/i18n/locale.ts';
import { parseReminder } from './remind-text.ts';

// This day is a Wednesday.
const NOW = new Date(2026, 10, 25, 14, 0);
const input = async (text: string, locale: Locale = 'en') => {
  const found = await parseReminder(text, locale, NOW);
  return found && [found.at.getTime(), found.note];
};
const at = (day: number, hour: number, minute = 0) => new Date(2026, 10, day, hour, minute).getTime();

describe('reminder text', () => {
  it('parses a leading time', async () => {
    expect(await input('me in 20 minutes to call Ben')).toEqual([at(25, 14, 20), 'call Ben']);
    expect(await input('me tomorrow at 9 to send the offer')).toEqual([at(26, 9), 'send the offer']);
    expect(await input('at 4pm stand up')).toEqual([at(25, 16), 'stand up']);
    expect(await input('me in 2 hours')).toEqual([at(25, 16), '']);
  });

  it('parses a trailing time', async () => {
    expect(await input('me to call Ben tomorrow at 10:30')).toEqual([at(26, 10, 30), 'call Ben']);
    expect(await input('me about the 3 invoices on Friday at 8')).toEqual([at(27, 8), 'the 3 invoices']);
  });

  it('defaults to the morning of a day', async () => {
    expect(await input('me tomorrow to send the offer')).toEqual([at(26, 9), 'send the offer']);
    expect(await input('me on Friday of lunch')).toEqual([at(27, 9), 'lunch']);
  });

  it('parses Vietnamese', async () => {
    expect(await input('tôi ngày mai lúc 9 giờ để gửi báo giá', 'vi')).toEqual([at(26, 9), 'gửi báo giá']);
    expect(await input('tôi trong 20 phút để gọi Ben', 'vi')).toEqual([at(25, 14, 20), 'gọi Ben']);
    expect(await input('me in 20 minutes to call Ben', 'vi')).toEqual([at(25, 14, 20), 'call Ben']);
  });

  it.each<[Locale, string, number, string]>([
    ['de', 'in 20 Minuten Ben anrufen', at(25, 14, 20), 'Ben anrufen'],
    ['de', 'morgen um 9 Uhr Angebot senden', at(26, 9), 'Angebot senden'],
    ['fr', 'dans 20 minutes appeler Ben', at(25, 14, 20), 'appeler Ben'],
    ['fr', 'demain à 9h envoyer le devis', at(26, 9), 'envoyer le devis'],
    ['es', 'en 20 minutos llamar a Ben', at(25, 14, 20), 'llamar a Ben'],
    ['es', 'mañana a las 9 enviar la oferta', at(26, 9), 'enviar la oferta'],
    ['ja', '15時にベンに電話', at(25, 15), 'ベンに電話'],
    ['ja', '明日9時に見積もりを送る', at(26, 9), '見積もりを送る'],
    ['ja', 'in 20 minutes to call Ben', at(25, 14, 20), 'call Ben']
  ])('parses %s: %s', async (locale, text, time, note) => {
    expect(await input(text, locale)).toEqual([time, note]);
  });

  it('has no time', async () => {
    expect(await input('me to call Ben')).toBeNull();
    expect(await input('')).toBeNull();
  });
});
