/** Formats and parses amounts of credits and tokens. */
import { regionalLocale } from '#lib/i18n/dates.ts';
import { MICRO } from '#lib/i18n/credits.ts';
import { number } from '#lib/i18n/numbers.ts';
import { m } from '#lib/paraglide/messages.js';

/** Formats the exact amount of credits: “0.000512”, “1,203.4”. */
export function formatExactCredits(micro: number): string {
  return number(micro / MICRO, 6);
}

/** Formats an amount of credits for ledgers: two decimals from 1 credit on, where the rest doesn’t matter, and all of them below. */
export function formatLedgerCredits(micro: number): string {
  return number(micro / MICRO, Math.abs(micro) < MICRO ? 6 : 2);
}

/** Parses an amount of credits into millionths; null if it is invalid. */
export function microOf(text: string): number | null {
  const plain = text.trim().replace(',', '.');
  if (!/^\d{1,9}(\.\d{1,6})?$/.test(plain)) return null;
  return Math.round(Number(plain) * MICRO);
}

/** Formats an amount of credits for an input field, without separators. */
export function formatEditableCredits(micro: number | null | undefined): string {
  return micro === null || micro === undefined ? '' : String(micro / MICRO);
}

/** Formats a number of tokens: “1,204”, “22M”. */
export function tokens(count: number): string {
  if (count < 100_000) return number(count, 0);
  return new Intl.NumberFormat(regionalLocale(), { notation: 'compact', maximumFractionDigits: 1 }).format(count);
}

export function count(value: number): string {
  return number(value);
}

/** Formats an average: “0.3”, “12”. */
export function average(value: number): string {
  return number(value, value < 10 ? 1 : 0);
}

/** Formats a share: “0.4%”. */
export function percent(part: number, whole: number): string {
  const share = whole === 0 ? 0 : part / whole;
  return new Intl.NumberFormat(regionalLocale(), {
    style: 'percent',
    maximumFractionDigits: share > 0 && share < 0.1 ? 1 : 0
  }).format(share);
}

/** Formats a duration: “< 0.1 s”, “0.4 s”, “11 s”. */
export function seconds(milliseconds: number): string {
  const value = milliseconds / 1_000;
  if (value < 0.05) return m.facts_seconds({ count: `< ${number(0.1, 1)}` });
  return m.facts_seconds({ count: number(value, value < 10 ? 1 : 0) });
}
