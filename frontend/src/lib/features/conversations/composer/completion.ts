/** Emoji or channel name that is being typed before the caret, after `:` or `#`. */

export interface Completing {
  readonly sign: ':' | '#';
  /** Index of the `:` or `#`. */
  readonly at: number;
  readonly query: string;
  /** Index of the caret, where the query ends. */
  readonly end: number;
}

/** Emoji query of at least two characters, so that “:)” and “12:30” are none. `+:` at the start of a text introduces a reaction. */
const EMOJI = /(?:^\+?|[\s([{"'“])(:)([\p{L}\p{M}\p{N}_+-]{2,30}:?)$/u;
const CHANNEL = /(?:^|[\s([{"'“])(#)([\p{L}\p{M}\p{N}_.-]{0,40})$/u;

export function completingAt(text: string, caret: number): Completing | null {
  // Looks at the last characters only, because the text can be long.
  const before = text.slice(Math.max(0, caret - 60), caret);
  const found = EMOJI.exec(before) ?? CHANNEL.exec(before);
  if (!found) return null;
  const [, sign, query = ''] = found;
  return { sign: sign as ':' | '#', at: caret - query.length - 1, query, end: caret };
}
