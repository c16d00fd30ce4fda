const isApple = /Mac|iPhone|iPad/.test(navigator.platform);

/** How the command key is written on this machine. */
export const commandKey = isApple ? '⌘' : 'Ctrl ';
export const altKey = isApple ? '⌥' : 'Alt ';

/** Whether it asks to find something. With Apple that is ⌘F: there Ctrl-F moves the caret. */
export function isFind(event: KeyboardEvent): boolean {
  const isCommand = isApple ? event.metaKey && !event.ctrlKey : event.ctrlKey && !event.metaKey;
  return isCommand && !event.altKey && !event.shiftKey && event.key.toLowerCase() === 'f';
}

/** Whether the person is writing: single keys are letters then. */
export function isTyping(event: KeyboardEvent): boolean {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName);
}
