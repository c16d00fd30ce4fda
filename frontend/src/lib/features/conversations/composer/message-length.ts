/** How long a message may be. The server counts characters, not code units: “👍” is one. */

/** From this part of the limit on it is said how many are left. */
const SAID_FROM = 0.9;

export function characters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** How many characters are left of `most`, when that begins to matter; negative when there are too many. */
export function remaining(text: string, most: number): number | null {
  const from = most * SAID_FROM;
  // Code units are never fewer than characters: most texts need not be counted.
  if (text.length < from) return null;
  const count = characters(text.trim());
  return count < from ? null : most - count;
}
