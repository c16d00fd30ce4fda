/** Whitespace and invisible characters; same rule as the server's. */
const SEEN = /[^\s\p{Default_Ignorable_Code_Point}\u2800]/u;

/** Whether a text has no visible characters. */
export function isBlank(text: string): boolean {
  return text.search(SEEN) === -1;
}

/** Line breaks of slides, PDFs and old systems. */
const LINE = /\r\n?|[\v\f\u0085]/g;
const ESCAPE = '\u001b';
/** Terminal colours and control characters from pasted text, except tabs and line breaks. */
const CONTROL = new RegExp(String.raw`${ESCAPE}\[[ -?]*[@-~]|(?![\t\n])\p{Cc}`, 'gu');

/** Same normalisation as the server's. */
export function withoutControls(text: string): string {
  return text.replace(LINE, '\n').replace(CONTROL, '');
}
