/**
 * Places in an order, as strings: between two of them there is always another one. As the server makes them (`service::boards::position`), and
 * of whatever digits and letters others make theirs.
 */
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** Digits of positions at the ends; keeps them short. */
const COUNTED = 4;
const FIRST = 'V000';

/** Byte order. */
export function before(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A position after `after` and before `before`; either may be open. */
export function between(after: string | null, before: string | null): string {
  if (!after) return before === null ? FIRST : (step(before, -1) ?? middle('', before));
  return before === null ? (step(after, 1) ?? middle(after, null)) : middle(after, before);
}

const valueOf = (digit: string | undefined) => Math.max(0, DIGITS.indexOf(digit ?? '0'));

/** Next or previous position by the leading digits; null at the limit. */
function step(from: string, by: 1 | -1): string | null {
  let number = by as number;
  for (let at = 0; at < COUNTED; at++) number += valueOf(from[at]) * DIGITS.length ** (COUNTED - 1 - at);
  if (number <= 0 || number >= DIGITS.length ** COUNTED) return null;
  let text = '';
  for (let at = 0; at < COUNTED; at++) {
    text = (DIGITS[number % DIGITS.length] ?? '0') + text;
    number = Math.floor(number / DIGITS.length);
  }
  // Equal lengths make later insertions sort correctly.
  return text;
}

function middle(after: string, before: string | null): string {
  let text = '';
  // Trailing zeros don't change a position.
  let [low, high] = [after, before === null ? null : trimmed(before)];
  for (;;) {
    const from = valueOf(low[0]);
    if (high === '') break;
    const to = high === null ? DIGITS.length : valueOf(high[0]);
    if (to - from > 1) return trimmed(text + (DIGITS[Math.floor((to + from) / 2)] ?? ''));
    if (high !== null && to < from) break;
    if (high !== null && to === from) {
      text += DIGITS[from] ?? '';
      high = high.slice(1);
    } else if (high !== null && high.length > 1) {
      // A prefix sorts before longer strings.
      return trimmed(text + (high[0] ?? ''));
    } else {
      text += DIGITS[from] ?? '';
      high = null;
    }
    low = low.slice(1);
  }
  // Invalid neighbours: the server finds a free position.
  return trimmed(`${text}${low}V`);
}

const trimmed = (text: string) => text.replace(/0+$/, '');
