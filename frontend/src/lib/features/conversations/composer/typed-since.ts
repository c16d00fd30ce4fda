/** Text typed after the draft was handed over. */
export function typedOn(text: string, handedOver: string): string {
  return text.startsWith(handedOver) ? text.slice(handedOver.length).trimStart() : text;
}
