import type { Citation } from '#lib/api/knowledge.ts';
import { number } from '#lib/numbers.ts';
import { m } from '#lib/paraglide/messages.js';

type Place = Pick<Citation, 'file_name' | 'page' | 'heading' | 'line'>;

/** Where in its file a piece is, as far as that is known. */
export function spotOf({ page, heading, line }: Place): string {
  const place = page ? m.source_page({ page }) : line && !heading ? m.source_line({ line: number(line) }) : '';
  return [place, heading].filter(Boolean).join(', ');
}

export function placeOf(citation: Place): string {
  return [citation.file_name, spotOf(citation)].filter(Boolean).join(', ');
}

/** Slides have pages, too, which no browser shows. */
export function isPdf(fileName: string): boolean {
  return fileName.toLowerCase().endsWith('.pdf');
}

/** The end of the first is the beginning of the second: so many letters. What is cut overlaps, so that no sentence is lost. */
export function overlapOf(first: string, second: string): number {
  for (let length = Math.min(first.length, second.length); length > 0; length -= 1)
    if (first.endsWith(second.slice(0, length))) return length;
  return 0;
}
