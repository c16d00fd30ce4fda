/** Prompt query of a `/` at the start of the text; null if none. */
export function promptAskedAt(text: string, caret: number): string | null {
  const query = text.slice(1, caret);
  return text.startsWith('/') && caret > 0 && query.length <= 40 && !/[\n/]|^\s|\s{2}/.test(query) ? query : null;
}
