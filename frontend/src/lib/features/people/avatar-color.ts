const HUES = 12;

/** Hue of a text in degrees, always the same for the same text. */
export function hueOf(text: string): number {
  let hash = 2166136261;
  for (const character of text) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 16777619);
  // The upper bits of the hash are distributed more evenly.
  return ((hash >>> 16) % HUES) * (360 / HUES) + 25;
}

/** Initials of a name: “Tomasz Kowalczyk-Brzeziński” becomes “TK”. */
export function initialsOf(name: string, count: 1 | 2): string {
  const words = name
    .trim()
    .split(/\s+/)
    .filter((word) => /[\p{L}\p{N}]/u.test(word));
  const first = letterOf(words[0] ?? '?');
  const last = words.length > 1 ? letterOf(words.at(-1) ?? '') : '';
  return count === 1 ? first : first + last;
}

function letterOf(word: string): string {
  return (word.match(/[\p{L}\p{N}]/u)?.[0] ?? '?').toLocaleUpperCase();
}

/** Whether the text is the name of an icon, not an emoji. */
export function isIconName(glyph: string): boolean {
  return /^[a-z][a-z0-9-]*$/.test(glyph);
}
