/** An input method is putting a character together: its keys are not ours. Of the one that ends it Safari says so by the code alone. */
export function isComposing({ isComposing, keyCode }: Pick<KeyboardEvent, 'isComposing' | 'keyCode'>): boolean {
  return isComposing || keyCode === 229;
}
