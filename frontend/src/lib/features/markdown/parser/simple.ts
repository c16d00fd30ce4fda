/**
 * Fast parser of simple messages. Plain paragraphs need no grammar, and inline markup needs only a part of it; setting up all of it is slow on
 * phones. In unclear cases the full grammar is used. `simple.test.ts` compares the results.
 */

/** Starts of lines that don't or may not belong to a paragraph. */
const BEGINS = [
  // Indentation: a code block or the continuation of a list.
  /[^\S\n]/,
  // Heading, quote, underline of a heading, delimiter row of a table, or link definition.
  /#{1,6}(?:\s|$)|[>=|[-]|:-/,
  // Item of a list.
  /(?:[*+]|\d{1,9}[.)])(?:\s|$)/,
  // Rule or code fence.
  /(?:\*[* \t]*|_[_ \t]*)(?:\n|$)|```|~~~/
];
/** Characters that need the full grammar: HTML, formulas, and unusual line breaks. */
const ANYWHERE = /[<$\r\v\f\u2028\u2029]|\\[([]/;
const MORE = new RegExp(`(?:^|\\n)(?:${BEGINS.map(({ source }) => source).join('|')})|${ANYWHERE.source}`);
/** Inline markup: delimiters, entities, URLs, and spaces before a line break. */
const MARK = /[\\`*_~[&]|:\/\/|www\.|\S@|[^\S\n]\n/i;

/** Paragraphs of a text; null if it contains other blocks. */
export function paragraphsOf(source: string): string[] | null {
  if (MORE.test(source)) return null;
  const texts = source.split(/\n{2,}/).map((text) => text.replace(/^\n|\n$/g, ''));
  return texts.filter((text) => text !== '');
}

/** Whether a paragraph may contain inline markup. */
export function mayHoldMarks(paragraph: string): boolean {
  return MARK.test(paragraph);
}
