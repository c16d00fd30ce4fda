/** Counts and comparisons of the text of a note. */

export function ticks(text: string): { done: number; all: number } {
  const found = text.match(/^\s*[-*] \[[ xX]\] /gm) ?? [];
  return { done: found.filter((tick) => /\[[xX]\]/.test(tick)).length, all: found.length };
}

export function words(text: string): number {
  return text.match(/[\p{L}\p{N}]+(?:['’-][\p{L}\p{N}]+)*/gu)?.length ?? 0;
}

/** Lines of a text, each with whether the other text doesn't contain it. */
export function compareLines(text: string, other: string): { line: string; isOnly: boolean }[] {
  const known = new Set(other.split('\n').map((line) => line.trim()));
  return text.split('\n').map((line) => ({ line, isOnly: line.trim() !== '' && !known.has(line.trim()) }));
}
