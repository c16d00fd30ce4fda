import type { Citation } from '#lib/features/assistants/api.ts';
import { isolated } from '#lib/i18n/bidi-isolate.ts';
import { number } from '#lib/i18n/numbers.ts';
import { m } from '#lib/paraglide/messages.js';

type PassageLocation = Pick<Citation, 'file_name' | 'page' | 'heading' | 'line'>;

/** Location of a passage in its file, as far as known. */
export function spotOf({ page, heading, line }: PassageLocation): string {
  const place = page ? m.source_page({ page }) : line && !heading ? m.source_line({ line: number(line) }) : '';
  return [place, isolated(heading)].filter(Boolean).join(', ');
}

export function placeOf(citation: PassageLocation): string {
  return [isolated(citation.file_name), spotOf(citation)].filter(Boolean).join(', ');
}

/** Slides have page numbers, but browsers can't open them. */
export function isPdf(fileName: string): boolean {
  return fileName.toLowerCase().endsWith('.pdf');
}

/** Formats whose extracted text differs from the file: text fragments don't match. */
const WRITTEN_OTHERWISE = /\.(csv|tsv|svg)$/i;
/** Maximum length of a quoted line, in characters. */
const MAX_QUOTE = 120;
const HAS_WORDS = /[\p{L}\p{N}]/u;

export function isWrittenSo(fileName: string): boolean {
  return !WRITTEN_OTHERWISE.test(fileName);
}

/**
 * Text fragment (`#:~:text=`) for the first line of a passage with context, because a line may occur more than once. Browsers without support open
 * the file at its start.
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
  const behind = begin === line && next ? `,-${inFragment(startOfLine(next))}` : '';
  return `#:~:text=${inFragment(begin)}${behind}`;
}

function startOfLine(line: string): string {
  const characters = [...line];
  if (characters.length <= MAX_QUOTE) return line;
  const begin = characters.slice(0, MAX_QUOTE).join('');
  const end = begin.lastIndexOf(' ');
  return end > 0 ? begin.slice(0, end) : begin;
}

/** Hyphens are syntax in text fragments. */
function inFragment(text: string): string {
  return encodeURIComponent(text).replaceAll('-', '%2D');
}

/** Length of the overlap of two consecutive chunks, in characters. */
export function overlapOf(first: string, second: string): number {
  for (let length = Math.min(first.length, second.length); length > 0; length -= 1)
    if (first.endsWith(second.slice(0, length))) return length;
  return 0;
}
