/** Spaces, and signs that only take part in others or fill a place: by the same rule as the server's. */
const SEEN = /[^\s\p{Default_Ignorable_Code_Point}\u2800]/u;

/** Whether nothing of a text can be seen: that is no message. */
export function isBlank(text: string): boolean {
  return text.search(SEEN) === -1;
}

/** Control characters but tabs and the ends of lines: they come with what is pasted, and no message may hold them. */
const CONTROL = /(?![\t\n\r])\p{Cc}/gu;

export function withoutControls(text: string): string {
  return text.replace(CONTROL, '');
}
