/**
 * Key of a shortcut: the typed character in lower case, or the name of another key. On layouts without Latin letters it is the letter that the key has on
 * most Latin layouts, as in other programs.
 */
export function shortcutKey({ key, code }: Pick<KeyboardEvent, 'key' | 'code'>): string {
  if (key.length > 1) return key;
  const isLatin = /^[\p{ASCII}\p{Script=Latin}]$/u.test(key);
  const letter = /^Key([A-Z])$/.exec(code)?.[1];
  return (isLatin ? key : (letter ?? key)).toLowerCase();
}
