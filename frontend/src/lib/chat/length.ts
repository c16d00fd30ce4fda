/** The server counts characters, not code units: “👍” is one. */
export const MOST = 5_000;
/** From here on it is said how many are left. */
const SAID_FROM = 4_500;

export function characters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** How many characters are left, when that begins to matter; negative when there are too many. */
export function remaining(text: string): number | null {
  if (text.length < SAID_FROM) return null;
  const count = characters(text.trim());
  return count < SAID_FROM ? null : MOST - count;
}
