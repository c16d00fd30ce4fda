/** What of a text is new since its beginning was handed over. */
export function typedOn(text: string, handedOver: string): string {
  return text.startsWith(handedOver) ? text.slice(handedOver.length).trimStart() : text;
}
