/** How a person's message looks, by what is in it. */
import type { Block } from './markdown/tree.ts';

/** A text that is longer is folded. */
export const FOLDED_FROM = 8_000;
/** So much of it is shown then, to the end of a line. */
const FOLDED_TO = 3_000;
const MOST_JUMBO = 8;

const PICTURE = String.raw`(?:\p{Emoji_Presentation}|\p{Extended_Pictographic}\ufe0f)\p{Emoji_Modifier}?`;
const EMOJI = String.raw`(?:\p{Regional_Indicator}{2}|[\d#*]\ufe0f?\u20e3|\u{1f3f4}[\u{e0020}-\u{e007f}]+|${PICTURE}(?:\u200d(?:${PICTURE}|\p{Extended_Pictographic}))*)`;
const JUMBO = new RegExp(`^(?:${EMOJI}\\s*){1,${MOST_JUMBO}}$`, 'u');

/** Nothing but a few emoji. */
export function isJumbo(text: string): boolean {
  return text.length <= MOST_JUMBO * 30 && JUMBO.test(text.trim());
}

/** Code or a table alone has a frame of its own. */
export function hasOwnFrame(blocks: readonly Block[]): boolean {
  return blocks.length === 1 && (blocks[0]?.type === 'code' || blocks[0]?.type === 'table');
}

export function folded(text: string): string {
  const line = text.lastIndexOf('\n', FOLDED_TO);
  return `${text.slice(0, line > FOLDED_TO / 2 ? line : FOLDED_TO).trimEnd()}…`;
}
