/** Length of messages. The server counts code points, so “👍” has the length 1. */

/** Used share of the maximum length from which the remaining number is shown. */
const SHOW_REMAINING_FROM = 0.9;

export function characters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** Number of characters left, negative beyond the limit; null while the limit is far away. */
export function remaining(text: string, most: number): number | null {
  const from = most * SHOW_REMAINING_FROM;
  // Avoids counting code points in short texts: a text never has more of them than UTF-16 units.
  if (text.length < from) return null;
  const count = characters(text.trim());
  return count < from ? null : most - count;
}
