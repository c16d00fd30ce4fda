const isApple = /Mac|iPhone|iPad/.test(navigator.platform);

/** Label of the key for shortcuts. */
export const commandKey = isApple ? '⌘' : 'Ctrl ';
export const altKey = isApple ? '⌥' : 'Alt ';

/** Whether a key event is the shortcut for searching in the page. On Apple devices that is only ⌘F, because Ctrl-F moves the caret there. */
export function isFind(event: KeyboardEvent): boolean {
  const isCommand = isApple ? event.metaKey && !event.ctrlKey : event.ctrlKey && !event.metaKey;
  return isCommand && !event.altKey && !event.shiftKey && event.key.toLowerCase() === 'f';
}

/** Whether the user is typing text, so that shortcuts of a single key must not apply. */
export function isTyping(event: KeyboardEvent): boolean {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName);
}
