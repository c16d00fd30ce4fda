import { shortcutKey } from '#lib/util/key-letter.ts';

export const isApple = /Mac|iPhone|iPad/.test(navigator.platform);

/** Label of the key for shortcuts. */
export const commandKey = isApple ? '⌘' : 'Ctrl ';
export const altKey = isApple ? '⌥' : 'Alt ';

/** Whether a key event is the shortcut for searching in the page. On Apple devices that is only ⌘F, because Ctrl-F moves the caret there. */
export function isFind(event: KeyboardEvent): boolean {
  const isCommand = isApple ? event.metaKey && !event.ctrlKey : event.ctrlKey && !event.metaKey;
  return isCommand && !event.altKey && !event.shiftKey && shortcutKey(event) === 'f';
}

/** Whether a key event is the shortcut of the command palette. */
export function isPalette(event: KeyboardEvent): boolean {
  const isCommand = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
  return isCommand && shortcutKey(event) === 'k';
}
