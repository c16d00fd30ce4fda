/** Editor commands that add or remove markup around the selection or before its lines. */
export interface Selected {
  text: string;
  start: number;
  end: number;
}

/** Adds markup around the selection, or removes it if it is there. */
export function toggleMarkup({ text, start, end }: Selected, mark: string): Selected {
  const inner = text.slice(start, end);
  const hasIt = text.slice(start - mark.length, start) === mark && text.slice(end, end + mark.length) === mark;
  if (hasIt)
    return {
      text: text.slice(0, start - mark.length) + inner + text.slice(end + mark.length),
      start: start - mark.length,
      end: end - mark.length
    };
  return {
    text: text.slice(0, start) + mark + inner + mark + text.slice(end),
    start: start + mark.length,
    end: end + mark.length
  };
}

/** Adds a prefix to the selected lines, or removes it if all have it. */
export function toggleLinePrefix({ text, start, end }: Selected, mark: string): Selected {
  const from = text.lastIndexOf('\n', start - 1) + 1;
  const next = text.indexOf('\n', end);
  const to = next === -1 ? text.length : next;
  const lines = text.slice(from, to).split('\n');
  const hasAll = lines.every((line) => line.startsWith(mark));
  const changed = lines.map((line) => (hasAll ? line.slice(mark.length) : mark + line)).join('\n');
  const by = hasAll ? -mark.length : mark.length;
  return {
    text: text.slice(0, from) + changed + text.slice(to),
    start: Math.max(from, start + by),
    end: end + (changed.length - (to - from))
  };
}

/** Handles Enter in a list: adds an item, or ends the list if the item is empty. Null outside a list. */
export function nextLine({ text, start, end }: Selected): Selected | null {
  if (start !== end) return null;
  const from = text.lastIndexOf('\n', start - 1) + 1;
  const line = text.slice(from, start);
  const [, indent = '', mark = '', tick = '', rest = ''] = /^(\s*)([-*]|\d+\.) (\[[ xX]\] )?(.*)$/.exec(line) ?? [];
  if (mark === '') return null;
  if (rest.trim() === '') return { text: text.slice(0, from) + text.slice(start), start: from, end: from };
  const next = /^\d+\.$/.test(mark) ? `${parseInt(mark, 10) + 1}.` : mark;
  const added = `\n${indent}${next} ${tick ? '[ ] ' : ''}`;
  return {
    text: text.slice(0, start) + added + text.slice(start),
    start: start + added.length,
    end: start + added.length
  };
}

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
