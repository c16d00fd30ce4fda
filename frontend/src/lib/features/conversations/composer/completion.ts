/** Completion at the caret: an emoji after `:` or a channel after `#`. */

export interface Completing {
  readonly sign: ':' | '#';
  /** Index of the trigger character. */
  readonly at: number;
  readonly query: string;
  /** Caret position. */
  readonly end: number;
}

/** Minimum length of an emoji query; “:)” and “12:30” are no queries. `+:` at the start reacts. */
const EMOJI = /(?:^\+?|[\s([{"'“])(:)([\p{L}\p{M}\p{N}_+-]{2,30}:?)$/u;
const CHANNEL = /(?:^|[\s([{"'“])(#)([\p{L}\p{M}\p{N}_.-]{0,40})$/u;

export function completingAt(text: string, caret: number): Completing | null {
  // Bounded, because texts can be long.
  const before = text.slice(Math.max(0, caret - 60), caret);
  const found = EMOJI.exec(before) ?? CHANNEL.exec(before);
  if (!found) return null;
  const [, sign, query = ''] = found;
  return { sign: sign as ':' | '#', at: caret - query.length - 1, query, end: caret };
}
