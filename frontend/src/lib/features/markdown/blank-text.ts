/** Visible character: neither whitespace nor invisible. The server uses the same rule. */
const SEEN = /[^\s\p{Default_Ignorable_Code_Point}\u2800]/u;

/** Whether a text has no visible characters. */
export function isBlank(text: string): boolean {
  return text.search(SEEN) === -1;
}

/** Line breaks that occur in slides, PDF files and old systems, besides `\n`. */
const LINE = /\r\n?|[\v\f\u0085]/g;
const ESCAPE = '\u001b';
/** Control characters except tabs and line breaks, and the codes for colours that text copied from a terminal contains. */
const CONTROL = new RegExp(String.raw`${ESCAPE}\[[ -?]*[@-~]|(?![\t\n])\p{Cc}`, 'gu');

/** Removes control characters and unifies line breaks, as the server does. */
export function withoutControls(text: string): string {
  return text.replace(LINE, '\n').replace(CONTROL, '');
}
