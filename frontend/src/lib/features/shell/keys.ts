const isApple = /Mac|iPhone|iPad/.test(navigator.platform);

/** Label of the command key. */
export const commandKey = isApple ? '⌘' : 'Ctrl ';
export const altKey = isApple ? '⌥' : 'Alt ';

/** Whether the event is the find shortcut. On Apple it is ⌘F, because Ctrl-F moves the caret. */
export function isFind(event: KeyboardEvent): boolean {
  const isCommand = isApple ? event.metaKey && !event.ctrlKey : event.ctrlKey && !event.metaKey;
  return isCommand && !event.altKey && !event.shiftKey && event.key.toLowerCase() === 'f';
}

/** Whether the user is typing, so single-key shortcuts are off. */
export function isTyping(event: KeyboardEvent): boolean {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName);
}
