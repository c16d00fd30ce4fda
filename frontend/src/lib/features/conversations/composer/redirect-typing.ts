import { isComposing } from '#lib/util/composing.ts';

/** Elements that use typed characters themselves, or in which keys are shortcuts. */
const OWN_KEYS =
  'input, textarea, select, button, a, summary, video, audio, iframe, [contenteditable], article, [role="dialog"], [role="menu"], [role="listbox"], [role="tree"], [role="grid"], [role="toolbar"], [role="tablist"]';
/** Layers above the page. While one is open, keys belong to it. */
const LAYERS = 'dialog[open], [role="dialog"], [role="alertdialog"], [role="menu"]';

/** Composer in which the user has written last; the keys go there if several are open, as beside a thread. */
let last: HTMLTextAreaElement | undefined;

export function rememberField(field: HTMLTextAreaElement): void {
  last = field;
}

/** Focuses the composer when the user starts to type while no field has the focus, so that the character is typed there. */
export function redirectTyping(event: KeyboardEvent, field: HTMLTextAreaElement | undefined): void {
  const { key, target } = event;
  if (!field || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isComposing(event)) return;
  // A space scrolls the page, and the question mark shows the shortcuts.
  if ([...key].length !== 1 || key === ' ' || key === '?') return;
  if (!(target instanceof HTMLElement) || target.closest(OWN_KEYS)) return;
  const isOther = last !== undefined && last !== field && last.isConnected && last.checkVisibility();
  if (isOther || !field.checkVisibility() || field.closest('[inert]')) return;
  // Another composer may have received the key already.
  if (document.activeElement !== target && document.activeElement !== document.body) return;
  if ([...document.querySelectorAll(LAYERS)].some((layer) => layer.checkVisibility())) return;
  field.focus();
}
