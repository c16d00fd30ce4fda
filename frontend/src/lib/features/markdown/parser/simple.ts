/**
 * What most messages are: paragraphs, and often no mark in them. To read these takes none of the grammar, or only that of
 * what stands within a line; to get all of it ready keeps a phone busy that is to show them. Where in doubt a text is not
 * simple: `simple.test.ts` holds both ways of reading to the same tree.
 */

/** What a line begins with that is of no paragraph, or may not be. */
const BEGINS = [
  // A space: code, or a line that goes on with a list.
  /[^\S\n]/,
  // A heading, a quote, what underlines one or parts the columns of a table, the address of a link.
  /#{1,6}(?:\s|$)|[>=|[-]|:-/,
  // An item of a list.
  /(?:[*+]|\d{1,9}[.)])(?:\s|$)/,
  // A rule, a fence.
  /(?:\*[* \t]*|_[_ \t]*)(?:\n|$)|```|~~~/
];
/** What is read with the whole: HTML, formulas, ends of lines that are none to everybody. */
const ANYWHERE = /[<$\r\v\f\u2028\u2029]|\\[([]/;
const MORE = new RegExp(`(?:^|\\n)(?:${BEGINS.map(({ source }) => source).join('|')})|${ANYWHERE.source}`);
/** What may be something else than itself within a line: a mark, an entity, an address, spaces before its end. */
const MARK = /[\\`*_~[&]|:\/\/|www\.|\S@|[^\S\n]\n/i;

/** The paragraphs of a text that has nothing else; `null` of any other. */
export function paragraphsOf(source: string): string[] | null {
  if (MORE.test(source)) return null;
  const texts = source.split(/\n{2,}/).map((text) => text.replace(/^\n|\n$/g, ''));
  return texts.filter((text) => text !== '');
}

/** Whether a paragraph may be more than its words. */
export function mayHoldMarks(paragraph: string): boolean {
  return MARK.test(paragraph);
}
