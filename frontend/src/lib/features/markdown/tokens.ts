/** Tokens of Markdown with their source, for texts that are being typed. */
export { lex, lexParagraph } from './parser/lexer.ts';
