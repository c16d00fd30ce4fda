/** Formats credits, which the API counts in millionths. */
import { number } from '#lib/i18n/numbers.ts';
import { m } from '#lib/paraglide/messages.js';

export const MICRO = 1_000_000;
const MIN_SHOWN = 0.001;

/** Formats an amount with few digits: “0”, “< 0.001”, “0.024”, “12.35”, “402.8”, “1,203”. */
export function credits(micro: number): string {
  const value = micro / MICRO;
  if (value > 0 && value < MIN_SHOWN) return `< ${number(MIN_SHOWN, 3)}`;
  const size = Math.abs(value);
  return number(value, size < 10 ? 3 : size < 100 ? 2 : size < 1_000 ? 1 : 0);
}

/** Formats an amount with its unit: “0.9 credits”, “1 credit”. */
export function formatCredits(micro: number): string {
  const count = credits(micro);
  return count === '1' ? m.credits_count_one() : m.credits_count({ count });
}
