import type { Citation } from '#lib/features/assistants/api.ts';
import { isolated } from '#lib/i18n/bidi-isolate.ts';
import { number } from '#lib/i18n/numbers.ts';
import { m } from '#lib/paraglide/messages.js';

type PassageLocation = Pick<Citation, 'file_name' | 'page' | 'heading' | 'line'>;

/** Describes where in its file a passage is, as far as that is known. */
export function locationLabel({ page, heading, line }: PassageLocation): string {
  const place = page ? m.source_page({ page }) : line && !heading ? m.source_line({ line: number(line) }) : '';
  return [place, isolated(heading)].filter(Boolean).join(', ');
}

export function placeOf(citation: PassageLocation): string {
  return [isolated(citation.file_name), locationLabel(citation)].filter(Boolean).join(', ');
}

/** Whether a link can open the file at a page. Slides also have page numbers, but browsers can't open them. */
export function isPdf(fileName: string): boolean {
  return fileName.toLowerCase().endsWith('.pdf');
}

/** Formats whose extracted text differs from what the browser shows, so that text fragments don't match. */
const TRANSFORMED_FORMATS = /\.(csv|tsv|svg)$/i;
/** Maximum length of a line in a text fragment, in characters. */
const MAX_QUOTE = 120;
const HAS_WORDS = /[\p{L}\p{N}]/u;

export function isDisplayedVerbatim(fileName: string): boolean {
  return !TRANSFORMED_FORMATS.test(fileName);
}

/**
 * Text fragment (`#:~:text=`) that finds the first line of a passage. It includes the text around the line, which may occur more than once. Browsers
 * that don't support it open the file at its start.
 */
export function fragmentOf(passage: string): string {
  const lines = passage
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
  const at = lines.findIndex((line) => HAS_WORDS.test(line));
  const [line, next] = [lines[at], lines[at + 1]];
  if (!line) return '';
  const begin = startOfLine(line);
  const behind = begin === line && next ? `,-${encodeFragment(startOfLine(next))}` : '';
  return `#:~:text=${encodeFragment(begin)}${behind}`;
}

function startOfLine(line: string): string {
  const characters = [...line];
  if (characters.length <= MAX_QUOTE) return line;
  const begin = characters.slice(0, MAX_QUOTE).join('');
  const end = begin.lastIndexOf(' ');
  return end > 0 ? begin.slice(0, end) : begin;
}

/** Encodes a text for a text fragment, in which hyphens have a meaning. */
function encodeFragment(text: string): string {
  return encodeURIComponent(text).replaceAll('-', '%2D');
}

/** Text of a passage without the marks of Markdown headings. */
export function passageText(text: string, fileName: string): string {
  return /\.(md|markdown)$/i.test(fileName) ? text.replaceAll(/^#{1,6}[ \t]+/gm, '') : text;
}

/** Number of characters that the end of `first` and the start of `second` share. Consecutive chunks of a file overlap. */
export function overlapOf(first: string, second: string): number {
  for (let length = Math.min(first.length, second.length); length > 0; length -= 1)
    if (first.endsWith(second.slice(0, length))) return length;
  return 0;
}
