/** Returns the text between a `/` at the start and the caret, by which prompts are searched; null if there is none. */
export function promptAskedAt(text: string, caret: number): string | null {
  const query = text.slice(1, caret);
  return text.startsWith('/') && caret > 0 && query.length <= 40 && !/[\n/]|^\s|\s{2}/.test(query) ? query : null;
}
