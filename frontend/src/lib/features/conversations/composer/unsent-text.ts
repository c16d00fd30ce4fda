/** Returns the text that was typed after `handedOver` was taken from the field to be sent. */
export function unsentText(text: string, handedOver: string): string {
  return text.startsWith(handedOver) ? text.slice(handedOver.length).trimStart() : text;
}
