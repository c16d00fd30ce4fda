/** Spaces, and signs that only take part in others or fill a place: by the same rule as the server's. */
const SEEN = /[^\s\p{Default_Ignorable_Code_Point}\u2800]/u;

/** Whether nothing of a text can be seen: that is no message. */
export function isBlank(text: string): boolean {
  return text.search(SEEN) === -1;
}

/** The end of a line as slides, PDFs and old systems write it. */
const LINE = /\r\n?|[\v\f\u0085]/g;
const ESCAPE = '\u001b';
/** A terminal’s colours, and control characters but tabs and the ends of lines: they come with what is pasted, and no message holds them. */
const CONTROL = new RegExp(String.raw`${ESCAPE}\[[ -?]*[@-~]|(?![\t\n])\p{Cc}`, 'gu');

/** As the server keeps it (`text.rs`). */
export function withoutControls(text: string): string {
  return text.replace(LINE, '\n').replace(CONTROL, '');
}
