/**
 * Fast path for simple messages: plain paragraphs need no grammar and inline markup needs only a part, because setting up the whole is slow on
 * phones. Unclear cases use the full grammar; `simple.test.ts` compares both.
 */

/** Line starts that are not or may not be paragraphs. */
const BEGINS = [
  // Indentation: code or a list continuation.
  /[^\S\n]/,
  // Heading, quote, setext underline, table delimiter, link definition.
  /#{1,6}(?:\s|$)|[>=|[-]|:-/,
  // List item.
  /(?:[*+]|\d{1,9}[.)])(?:\s|$)/,
  // Rule or fence.
  /(?:\*[* \t]*|_[_ \t]*)(?:\n|$)|```|~~~/
];
/** Needs the full grammar: HTML, formulas, unusual line breaks. */
const ANYWHERE = /[<$\r\v\f\u2028\u2029]|\\[([]/;
const MORE = new RegExp(`(?:^|\\n)(?:${BEGINS.map(({ source }) => source).join('|')})|${ANYWHERE.source}`);
/** Inline markup: delimiters, entities, URLs, trailing spaces. */
const MARK = /[\\`*_~[&]|:\/\/|www\.|\S@|[^\S\n]\n/i;

/** Paragraphs of a text without other blocks; null otherwise. */
export function paragraphsOf(source: string): string[] | null {
  if (MORE.test(source)) return null;
  const texts = source.split(/\n{2,}/).map((text) => text.replace(/^\n|\n$/g, ''));
  return texts.filter((text) => text !== '');
}

/** Whether a paragraph may contain markup. */
export function mayHoldMarks(paragraph: string): boolean {
  return MARK.test(paragraph);
}
