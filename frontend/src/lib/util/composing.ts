/** Whether a key belongs to the composition of a character by an input method. Safari shows that for the last key by its key code only. */
export function isComposing({ isComposing, keyCode }: Pick<KeyboardEvent, 'isComposing' | 'keyCode'>): boolean {
  return isComposing || keyCode === 229;
}
