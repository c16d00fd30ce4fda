/** Appearance of a person's message, which depends on its content. */
import { lazily } from '#lib/util/lazy.ts';
import type { Block } from '#lib/features/markdown/tree.ts';
import { cutMentions, type Name } from './mentions.ts';

/** Length in UTF-16 units and number of lines from which a text is shown folded. */
const FOLDED_FROM = { length: 8_000, lines: 200 };
/** Length and number of lines of a folded text; it ends at the end of a line. */
const COLLAPSED_SIZE = { length: 3_000, lines: 60 };
const MAX_JUMBO = 8;
/** Maximum length of a text that is shown with large emoji, in UTF-16 units. Custom emoji count with their colons. */
const MAX_EMOJI = 40;

const PICTURE = String.raw`(?:\p{Emoji_Presentation}|\p{Extended_Pictographic}\ufe0f)\p{Emoji_Modifier}?`;
const EMOJI = String.raw`(?:\p{Regional_Indicator}{2}|[\d#*]\ufe0f?\u20e3|\u{1f3f4}[\u{e0020}-\u{e007f}]+|${PICTURE}(?:\u200d(?:${PICTURE}|\p{Extended_Pictographic}))*)`;
const jumboPattern = lazily(() => new RegExp(`^(?:${EMOJI}\\s*){1,${MAX_JUMBO}}$`, 'u'));
/** Start of a text with a letter, which is checked first because the pattern for emoji is slow to compile. */
const WORD = /^\s*[a-z\u00c0-\u02af\u1e00-\u1eff]/i;

/** Whether a text consists of a few emoji only, which are shown large. Custom emoji count too. */
export function isJumbo(text: string, own: readonly Name[] = []): boolean {
  if (text.length > MAX_JUMBO * MAX_EMOJI || WORD.test(text)) return false;
  const pieces = cutMentions(text.trim(), own);
  return jumboPattern().test(pieces.map(({ kind, text }) => (kind ? '👍' : text)).join(''));
}

/** Whether the message is a single code block or table, which has a frame of its own. */
export function hasOwnFrame(blocks: readonly Block[]): boolean {
  return blocks.length === 1 && (blocks[0]?.type === 'code' || blocks[0]?.type === 'table');
}

/** Whether the text is so long that it is shown folded. */
export function isLong(text: string): boolean {
  return text.length > FOLDED_FROM.length || lineEndAfter(text, FOLDED_FROM.lines) < text.length;
}

export function collapseText(text: string): string {
  const { length, lines } = COLLAPSED_SIZE;
  const shown = text.slice(0, lineEndAfter(text, lines));
  if (shown.length <= length) return `${shown.trimEnd()}…`;
  const line = shown.lastIndexOf('\n', length);
  return `${shown.slice(0, line > length / 2 ? line : length).trimEnd()}…`;
}

/** Index of the end of the line after which `lines` lines are complete. */
function lineEndAfter(text: string, lines: number): number {
  let end = -1;
  for (let line = 0; line < lines; line += 1) {
    end = text.indexOf('\n', end + 1);
    if (end < 0) return text.length;
  }
  return end;
}
