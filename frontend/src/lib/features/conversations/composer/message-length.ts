/** Message length. The server counts code points, so “👍” is one. */

/** Share of the limit from which the remaining count is shown. */
const SAID_FROM = 0.9;

export function characters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** Remaining characters, once that is worth showing; negative if the text is too long. */
export function remaining(text: string, most: number): number | null {
  const from = most * SAID_FROM;
  // Fast path: there are never fewer code units than characters.
  if (text.length < from) return null;
  const count = characters(text.trim());
  return count < from ? null : most - count;
}
