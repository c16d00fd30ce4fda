/** Changes of a text field that the user can undo. */
import type { Selected } from '#lib/features/markdown/editing.ts';

/** Replaces a range and places the caret after it. The browser reports the change as input. */
export function replaceText(field: HTMLTextAreaElement, start: number, end: number, words: string): void {
  field.focus();
  field.setSelectionRange(start, end);
  if (start === end && words === '') return;
  // Unlike an assignment, this can be undone, and what was typed before, too.
  if (words === '' ? document.execCommand('delete') : document.execCommand('insertText', false, words)) return;
  field.setRangeText(words, start, end, 'end');
  field.dispatchEvent(new Event('input', { bubbles: true }));
}

/** Changes the text and the selection. Only the part that differs is replaced. */
export function applyEdit(field: HTMLTextAreaElement, { text, start, end }: Selected): void {
  const { value } = field;
  const shorter = Math.min(value.length, text.length);
  let before = 0;
  while (before < shorter && value[before] === text[before]) before++;
  let after = 0;
  while (after < shorter - before && value.at(-1 - after) === text.at(-1 - after)) after++;
  replaceText(field, before, value.length - after, text.slice(before, text.length - after));
  field.setSelectionRange(start, end);
}
