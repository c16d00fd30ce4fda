/** Formatting commands of the composer. */
import {
  codeLine,
  indentItems,
  nextLine,
  toggleCode,
  toggleCodeBlock,
  toggleEmphasis,
  toggleLines,
  toggleLink,
  toggleMarkup,
  type LineStyle,
  type Selected
} from '#lib/features/markdown/editing.ts';
import { applyEdit } from './text-edits.ts';

export type Format = 'bold' | 'emphasis' | 'strike' | 'code' | 'link' | LineStyle | 'codeBlock';

const EDITS: Record<Format, (now: Selected) => Selected> = {
  bold: (now) => toggleMarkup(now, '**'),
  emphasis: toggleEmphasis,
  strike: (now) => toggleMarkup(now, '~~'),
  code: toggleCode,
  link: toggleLink,
  numbers: (now) => toggleLines(now, 'numbers'),
  bullets: (now) => toggleLines(now, 'bullets'),
  quote: (now) => toggleLines(now, 'quote'),
  codeBlock: toggleCodeBlock
};

const selectedIn = (field: HTMLTextAreaElement): Selected => ({
  text: field.value,
  start: field.selectionStart,
  end: field.selectionEnd
});

export function applyFormat(field: HTMLTextAreaElement, format: Format): void {
  applyEdit(field, EDITS[format](selectedIn(field)));
}

/** Handles the keys that edit code blocks and lists. Returns whether the key was used. */
export function handleTextKey(event: KeyboardEvent, field: HTMLTextAreaElement): boolean {
  const { key, shiftKey } = event;
  if (event.altKey || event.ctrlKey || event.metaKey) return false;
  let edit: Selected | null = null;
  if (key === 'Enter') edit = shiftKey ? nextLine(selectedIn(field)) : codeLine(selectedIn(field));
  else if (key === 'Tab') edit = indentItems(selectedIn(field), shiftKey ? 'out' : 'in');
  if (edit) applyEdit(field, edit);
  return edit !== null;
}

export interface Formats {
  readonly applyFormat: typeof applyFormat;
  readonly handleTextKey: typeof handleTextKey;
}
