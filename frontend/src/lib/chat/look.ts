/** How a person's message looks, by what is in it. */
import type { Block } from './markdown/tree.ts';
import { cutMentions, type Name } from './mentions.ts';

/** A text that is longer is folded. */
export const FOLDED_FROM = 8_000;
/** So much of it is shown then, to the end of a line. */
const FOLDED_TO = 3_000;
const MOST_JUMBO = 8;
/** In code units; with its colons, one of a workspace's own. */
const LONGEST_EMOJI = 40;

const PICTURE = String.raw`(?:\p{Emoji_Presentation}|\p{Extended_Pictographic}\ufe0f)\p{Emoji_Modifier}?`;
const EMOJI = String.raw`(?:\p{Regional_Indicator}{2}|[\d#*]\ufe0f?\u20e3|\u{1f3f4}[\u{e0020}-\u{e007f}]+|${PICTURE}(?:\u200d(?:${PICTURE}|\p{Extended_Pictographic}))*)`;
const JUMBO = new RegExp(`^(?:${EMOJI}\\s*){1,${MOST_JUMBO}}$`, 'u');

/** Nothing but a few emoji, those of the workspace's `own` among them. */
export function isJumbo(text: string, own: readonly Name[] = []): boolean {
  if (text.length > MOST_JUMBO * LONGEST_EMOJI) return false;
  const pieces = cutMentions(text.trim(), own);
  return JUMBO.test(pieces.map(({ kind, text }) => (kind ? '👍' : text)).join(''));
}

/** Code or a table alone has a frame of its own. */
export function hasOwnFrame(blocks: readonly Block[]): boolean {
  return blocks.length === 1 && (blocks[0]?.type === 'code' || blocks[0]?.type === 'table');
}

export function folded(text: string): string {
  const line = text.lastIndexOf('\n', FOLDED_TO);
  return `${text.slice(0, line > FOLDED_TO / 2 ? line : FOLDED_TO).trimEnd()}…`;
}
