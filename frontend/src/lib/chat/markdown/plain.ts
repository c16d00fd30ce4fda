/** A message as one line of plain text, for a quote, a list, a notification: the marks of markdown are noise there. */
export function plainText(source: string, limit = 140): string {
  const text = source
    .slice(0, limit * 4)
    .replace(/```[^\n]*\n?/g, ' ')
    .replace(/!?\[([^\]\n]*)\]\([^)\s]*\)/g, '$1')
    .replace(/^\s{0,3}(#{1,6}\s+|>\s?|[-*+]\s+(\[[ xX]\]\s+)?|\d{1,9}[.)]\s+)/gm, '')
    .replace(/(\*\*|__|~~|`)/g, '')
    .replace(/(^|[\s(])[*_](?=\S)([^*_\n]*[^*_\s])[*_](?=$|[\s).,:;!?])/g, '$1$2')
    .replace(/\s+/g, ' ')
    .trim();
  return text.length > limit ? `${wholeCharacters(text, limit - 1).trimEnd()}…` : text;
}

/** The first `length` code units, or one fewer where that would leave half of a character. */
function wholeCharacters(text: string, length: number): string {
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length);
}
