/** What is being typed right before the caret that can be completed: an emoji after `:`, a channel after `#`. */

export interface Completing {
  readonly sign: ':' | '#';
  /** Where the sign stands. */
  readonly at: number;
  readonly query: string;
  /** The caret. */
  readonly end: number;
}

/** So much of an emoji’s name has to be there; “:)” and “12:30” ask for none. At the beginning `+:` reacts with it. */
const EMOJI = /(?:^\+?|[\s([{"'“])(:)([\p{L}\p{M}\p{N}_+-]{2,30}:?)$/u;
const CHANNEL = /(?:^|[\s([{"'“])(#)([\p{L}\p{M}\p{N}_.-]{0,40})$/u;

export function completingAt(text: string, caret: number): Completing | null {
  // No more than what may matter is looked at: texts can be long.
  const before = text.slice(Math.max(0, caret - 60), caret);
  const found = EMOJI.exec(before) ?? CHANNEL.exec(before);
  if (!found) return null;
  const [, sign, query = ''] = found;
  return { sign: sign as ':' | '#', at: caret - query.length - 1, query, end: caret };
}
