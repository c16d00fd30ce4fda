/** Editor commands that change the Markdown around the selection of a text field. */

/** Text of a field with its selection. */
export interface Selected {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

export type LineStyle = 'bullets' | 'numbers' | 'quote';

/** Start of a list item: indentation, mark, checkbox. */
const ITEM = /^([ \t]*)([-*+]|\d{1,3}[.)]) (\[[ xX]\] )?/;
const LINE_MARKS: Record<LineStyle, RegExp> = {
  bullets: /^([ \t]*)[-*+] (?:\[[ xX]\] )?/,
  numbers: /^([ \t]*)\d{1,3}[.)] /,
  quote: /^()> ?/
};
const FENCE = /^([ \t]*)(`{3,}|~{3,})/;
const ADDRESS = /^(?:https?:\/\/|www\.|mailto:)\S+$/i;

/** Adds markup around the selection, or removes it if it is there. Before the closing markup, moves the caret behind it. */
export function toggleMarkup(now: Selected, mark: string): Selected {
  const { text, start, end } = trimmed(now);
  const inner = text.slice(start, end);
  const { length } = mark;
  if (hasMarkup(text.slice(0, start), text.slice(end), mark))
    return {
      text: text.slice(0, start - length) + inner + text.slice(end + length),
      start: start - length,
      end: end - length
    };
  if (inner.length > 2 * length && inner.startsWith(mark) && inner.endsWith(mark)) {
    const bare = inner.slice(length, -length);
    return { text: text.slice(0, start) + bare + text.slice(end), start, end: start + bare.length };
  }
  if (start === end && text.startsWith(mark, end)) return { text, start: end + length, end: end + length };
  return {
    text: text.slice(0, start) + mark + inner + mark + text.slice(end),
    start: start + length,
    end: end + length
  };
}

/** Toggles emphasis. Inside a word it is written with asterisks, because underscores have no meaning there. */
export function toggleEmphasis(now: Selected): Selected {
  const { text, start, end } = trimmed(now);
  const [before, after] = [text.slice(0, start), text.slice(end)];
  const isClosing = (mark: string) => start === end && after.startsWith(mark) && after[1] !== mark;
  if (hasMarkup(before, after, '_') || isClosing('_')) return toggleMarkup(now, '_');
  if (hasMarkup(before, after, '*') || isClosing('*')) return toggleMarkup(now, '*');
  const isInWord = /[\p{L}\p{N}]$/u.test(before) || /^[\p{L}\p{N}]/u.test(after);
  return toggleMarkup(now, isInWord ? '*' : '_');
}

/** Toggles code: a code block if the selection has several lines. */
export function toggleCode(now: Selected): Selected {
  return now.text.slice(now.start, now.end).includes('\n') ? toggleCodeBlock(now) : toggleMarkup(now, '`');
}

/** Selection without white space at its ends, which markup must not enclose. */
function trimmed({ text, start, end }: Selected): Selected {
  const inner = text.slice(start, end);
  const from = start + inner.length - inner.trimStart().length;
  return inner.trim() === '' ? { text, start, end } : { text, start: from, end: from + inner.trim().length };
}

/** Whether exactly this markup encloses a position: `**` is bold, `*` is emphasis, `***` is both. */
function hasMarkup(before: string, after: string, mark: string): boolean {
  if (!before.endsWith(mark) || !after.startsWith(mark)) return false;
  if (mark[0] !== '*') return true;
  const count = Math.min(/\**$/.exec(before)?.[0].length ?? 0, /^\**/.exec(after)?.[0].length ?? 0);
  return mark.length === 1 ? count % 2 === 1 : count >= 2;
}

/** Adds a prefix to the selected lines, or removes it if all have it. */
export function toggleLinePrefix(now: Selected, mark: string): Selected {
  const lines = selectedLines(now);
  const hasAll = lines.every((line) => line.startsWith(mark));
  return withLines(
    now,
    lines.map((line) => (hasAll ? line.slice(mark.length) : mark + line))
  );
}

/** Makes a list or a quote of the selected lines, or plain lines if all are one. Other marks of lists are replaced. */
export function toggleLines(now: Selected, style: LineStyle): Selected {
  const mark = LINE_MARKS[style];
  const lines = selectedLines(now);
  const filled = lines.filter((line) => line.trim() !== '');
  const hasAll = filled.length > 0 && filled.every((line) => mark.test(line));
  let number = 0;
  return withLines(
    now,
    lines.map((line) => {
      if (hasAll) return line.replace(mark, '$1');
      if (style === 'quote') return `> ${line}`;
      if (line.trim() === '' && filled.length > 0) return line;
      number += 1;
      const [, indent = '', rest = ''] = /^([ \t]*)(.*)$/s.exec(line.replace(ITEM, '$1')) ?? [];
      return `${indent}${style === 'numbers' ? `${number}.` : '-'} ${rest}`;
    })
  );
}

/** Indexes at which the selected lines start and end. */
function lineRange({ text, start, end }: Selected): { from: number; to: number } {
  const next = text.indexOf('\n', end);
  return { from: lineStart(text, start), to: next === -1 ? text.length : next };
}

const lineStart = (text: string, at: number) => (at === 0 ? 0 : text.lastIndexOf('\n', at - 1) + 1);

function selectedLines(now: Selected): string[] {
  const { from, to } = lineRange(now);
  return now.text.slice(from, to).split('\n');
}

/** Replaces the selected lines. The selection stays at the same characters. */
function withLines(now: Selected, lines: readonly string[]): Selected {
  const { from, to } = lineRange(now);
  const changed = lines.join('\n');
  const [first = ''] = selectedLines(now);
  return {
    text: now.text.slice(0, from) + changed + now.text.slice(to),
    start: Math.max(from, now.start + (lines[0] ?? '').length - first.length),
    end: Math.max(from, now.end + changed.length - (to - from))
  };
}

/** Encloses the selection in a code block, or removes the fences around it. */
export function toggleCodeBlock({ text, start, end }: Selected): Selected {
  const [before, inner, after] = [text.slice(0, start), text.slice(start, end), text.slice(end)];
  const opening = /(?:^|\n)(`{3,})[^\n`]*\n$/.exec(before);
  const closing = /^\n(`{3,})(?:\n|$)/.exec(after);
  if (opening && closing && opening[1] === closing[1]) {
    const from = opening[0].startsWith('\n') ? opening.index + 1 : opening.index;
    const rest = after.slice(1 + (closing[1] ?? '').length);
    return { text: text.slice(0, from) + inner + rest, start: from, end: from + inner.length };
  }
  const longest = Math.max(2, ...(inner.match(/`{3,}/g) ?? []).map(({ length }) => length));
  const fence = '`'.repeat(longest + 1);
  const lead = `${before === '' || before.endsWith('\n') ? '' : '\n'}${fence}\n`;
  const tail = `\n${fence}${after === '' || after.startsWith('\n') ? '' : '\n'}`;
  const from = start + lead.length;
  return { text: before + lead + inner + tail + after, start: from, end: from + inner.length };
}

/** Makes a link of the selected text or address, or plain text of a link. The caret is placed where the other part is typed. */
export function toggleLink({ text, start, end }: Selected): Selected {
  const [before, inner, after] = [text.slice(0, start), text.slice(start, end), text.slice(end)];
  const target = /^\]\([^()\n]*\)/.exec(after)?.[0];
  if (before.endsWith('[') && target !== undefined)
    return { text: before.slice(0, -1) + inner + after.slice(target.length), start: start - 1, end: end - 1 };
  const isAddress = ADDRESS.test(inner.trim());
  const words = isAddress ? '' : inner.replaceAll(/[[\]]/g, String.raw`\$&`);
  const caret = start + 1 + (words === '' ? 0 : words.length + 2);
  return { text: `${before}[${words}](${isAddress ? inner.trim() : ''})${after}`, start: caret, end: caret };
}

/** Handles Enter in a list: adds an item, or ends the list if the item is empty. Null outside a list. */
export function nextLine({ text, start, end }: Selected): Selected | null {
  if (start !== end) return null;
  const from = lineStart(text, start);
  if (openFence(text.slice(0, from))) return null;
  const line = text.slice(from, start);
  const [marked, indent = '', mark = '', tick = ''] = ITEM.exec(line) ?? [];
  if (marked === undefined) return null;
  if (line.slice(marked.length).trim() === '')
    return { text: text.slice(0, from) + text.slice(start), start: from, end: from };
  const number = /^(\d+)([.)])$/.exec(mark);
  const next = number ? `${Number(number[1]) + 1}${number[2]}` : mark;
  return inserted({ text, start, end }, `\n${indent}${next} ${tick ? '[ ] ' : ''}`);
}

/** Handles Enter at a code block: opens it after its fence, or adds a line inside. Null elsewhere. */
export function codeLine(now: Selected): Selected | null {
  const { text, start } = now;
  const { from, to } = lineRange(now);
  const open = openFence(text.slice(0, from));
  const line = text.slice(from, start);
  const indent = /^[ \t]*/.exec(line)?.[0] ?? '';
  if (open) return closes(text.slice(from, to), open) ? null : inserted(now, `\n${indent}`);
  const [opening] = /^[ \t]*(?:`{3,}|~{3,})[\w+#.-]*$/.exec(line) ?? [];
  if (opening === undefined || now.end !== start || text.slice(start, to).trim() !== '') return null;
  const fence = FENCE.exec(line)?.[2] ?? '';
  if (
    text
      .slice(to + 1)
      .split('\n')
      .some((next) => closes(next, fence))
  )
    return inserted(now, `\n${indent}`);
  const { text: changed } = inserted(now, `\n${indent}\n${indent}${fence}`);
  const caret = start + 1 + indent.length;
  return { text: changed, start: caret, end: caret };
}

function inserted({ text, start, end }: Selected, words: string): Selected {
  const caret = start + words.length;
  return { text: text.slice(0, start) + words + text.slice(end), start: caret, end: caret };
}

/** Fence of the code block in which the text ends; null outside a code block. */
function openFence(text: string): string | null {
  let open: string | null = null;
  for (const line of text.split('\n')) {
    if (open === null) open = FENCE.exec(line)?.[2] ?? null;
    else if (closes(line, open)) open = null;
  }
  return open;
}

function closes(line: string, fence: string): boolean {
  const found = line.trim();
  return found.length >= fence.length && found === fence.charAt(0).repeat(found.length);
}

/**
 * Indents the list items of the selection to the level below the item before them, or outdents them. Null if that isn't possible, so that Tab leaves
 * the field as usual.
 */
export function indentItems(now: Selected, direction: 'in' | 'out'): Selected | null {
  const { from } = lineRange(now);
  const lines = selectedLines(now);
  if (!lines.every((line) => ITEM.test(line)) || openFence(now.text.slice(0, from))) return null;
  const [, indent = ''] = ITEM.exec(lines[0] ?? '') ?? [];
  const earlier = now.text.slice(0, from).split('\n').slice(0, -1).toReversed();
  const end = earlier.findIndex((line) => line.trim() === '' || !/^[ \t]|^(?:[-*+]|\d{1,3}[.)]) /.test(line));
  const items = (end === -1 ? earlier : earlier.slice(0, end)).flatMap((line) => {
    const [, before = '', mark = ''] = ITEM.exec(line) ?? [];
    return mark === '' ? [] : [{ indent: before.length, content: before.length + mark.length + 1 }];
  });
  const parent = items.find((item) => item.indent < indent.length);
  const sibling = items.find((item) => item.indent <= indent.length);
  const next = direction === 'in' ? sibling?.content : indent === '' ? undefined : (parent?.indent ?? 0);
  // An item is at most one level below the item before it.
  if (next === undefined || (direction === 'in' && (sibling?.indent !== indent.length || next <= indent.length)))
    return null;
  const by = next - indent.length;
  return withLines(
    now,
    lines.map((line) => (by > 0 ? ' '.repeat(by) + line : line.slice(Math.min(-by, line.search(/[^ \t]/)))))
  );
}
