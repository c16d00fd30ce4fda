/** How a person's message looks, by what is in it. */
import { lazily } from '#lib/util/lazy.ts';
import type { Block } from '#lib/features/markdown/tree.ts';
import { cutMentions, type Name } from './mentions.ts';

/** A text that is longer is folded, and one of more lines. */
const FOLDED_FROM = { length: 8_000, lines: 200 };
/** So much of it is shown then, to the end of a line. */
const FOLDED_TO = { length: 3_000, lines: 60 };
const MAX_JUMBO = 8;
/** In code units; with its colons, one of a workspace's own. */
const MAX_EMOJI = 40;

const PICTURE = String.raw`(?:\p{Emoji_Presentation}|\p{Extended_Pictographic}\ufe0f)\p{Emoji_Modifier}?`;
const EMOJI = String.raw`(?:\p{Regional_Indicator}{2}|[\d#*]\ufe0f?\u20e3|\u{1f3f4}[\u{e0020}-\u{e007f}]+|${PICTURE}(?:\u200d(?:${PICTURE}|\p{Extended_Pictographic}))*)`;
const jumbo = lazily(() => new RegExp(`^(?:${EMOJI}\\s*){1,${MAX_JUMBO}}$`, 'u'));
/** A text that begins so does with a word. To know all emoji takes a browser a while. */
const WORD = /^\s*[a-z\u00c0-\u02af\u1e00-\u1eff]/i;

/** Nothing but a few emoji, those of the workspace's `own` among them. */
export function isJumbo(text: string, own: readonly Name[] = []): boolean {
  if (text.length > MAX_JUMBO * MAX_EMOJI || WORD.test(text)) return false;
  const pieces = cutMentions(text.trim(), own);
  return jumbo().test(pieces.map(({ kind, text }) => (kind ? '👍' : text)).join(''));
}

/** Code or a table alone has a frame of its own. */
export function hasOwnFrame(blocks: readonly Block[]): boolean {
  return blocks.length === 1 && (blocks[0]?.type === 'code' || blocks[0]?.type === 'table');
}

/** Whether it would push everything else out of sight. */
export function isLong(text: string): boolean {
  return text.length > FOLDED_FROM.length || lineEndAfter(text, FOLDED_FROM.lines) < text.length;
}

export function folded(text: string): string {
  const { length, lines } = FOLDED_TO;
  const shown = text.slice(0, lineEndAfter(text, lines));
  if (shown.length <= length) return `${shown.trimEnd()}…`;
  const line = shown.lastIndexOf('\n', length);
  return `${shown.slice(0, line > length / 2 ? line : length).trimEnd()}…`;
}

/** Where so many lines of it end. */
function lineEndAfter(text: string, lines: number): number {
  let end = -1;
  for (let line = 0; line < lines; line += 1) {
    end = text.indexOf('\n', end + 1);
    if (end < 0) return text.length;
  }
  return end;
}
