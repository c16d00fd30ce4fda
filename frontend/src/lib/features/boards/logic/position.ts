/**
 * Positions in an order, as strings: there is always another position between two of them. The server creates them in the same way, but positions
 * that other clients have created may contain any digits and letters.
 */
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** Length of positions at the start and end of the order. A fixed length keeps them short: the next position has the next higher or lower number instead of more digits. */
const COUNTED = 4;
const FIRST = 'V000';

/** Compares two positions by their bytes. */
export function comparePositions(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Returns a position after `after` and before `before`; null stands for the start or end of the order. */
export function positionBetween(after: string | null, before: string | null): string {
  if (!after) return before === null ? FIRST : (step(before, -1) ?? middle('', before));
  return before === null ? (step(after, 1) ?? middle(after, null)) : middle(after, before);
}

const valueOf = (digit: string | undefined) => Math.max(0, DIGITS.indexOf(digit ?? '0'));

/** Counts the leading digits up or down by one; null if no position is left. */
function step(from: string, by: 1 | -1): string | null {
  let number = by as number;
  for (let at = 0; at < COUNTED; at++) number += valueOf(from[at]) * DIGITS.length ** (COUNTED - 1 - at);
  if (number <= 0 || number >= DIGITS.length ** COUNTED) return null;
  let text = '';
  for (let at = 0; at < COUNTED; at++) {
    text = (DIGITS[number % DIGITS.length] ?? '0') + text;
    number = Math.floor(number / DIGITS.length);
  }
  // All positions made here have the same length, so that those inserted later sort correctly.
  return text;
}

function middle(after: string, before: string | null): string {
  let text = '';
  // Trailing zeros don't change a position, so they are ignored.
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
      // A prefix sorts before all longer strings that start with it.
      return trimmed(text + (high[0] ?? ''));
    } else {
      text += DIGITS[from] ?? '';
      high = null;
    }
    low = low.slice(1);
  }
  // `after` and `before` are not in order. The result is arbitrary, and the server finds a free position.
  return trimmed(`${text}${low}V`);
}

const trimmed = (text: string) => text.replace(/0+$/, '');
