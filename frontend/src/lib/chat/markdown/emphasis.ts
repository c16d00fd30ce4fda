/**
 * Emphasis beside writing without spaces. CommonMark looks for a space between a mark and punctuation on its other side,
 * which such writing does not have: `**重要。**次` would show its stars. So punctuation that is only written with it
 * counts as a letter, and any other does where such writing stands on the other side of the mark.
 */
import { UNSPACED, WIDE_MARK } from './unspaced.ts';

const OTHER_MARK = String.raw`(?![*_~])[\p{P}\p{S}]`;
const BESIDE = `(?:${UNSPACED}|${WIDE_MARK})`;
const AS_LETTERS = new RegExp(
  [
    `(?<=[*~])${WIDE_MARK}|${WIDE_MARK}(?=[*~])`,
    `(?<=${BESIDE}(?:\\*+|~+))${OTHER_MARK}|${OTHER_MARK}(?=(?:\\*+|~+)${BESIDE})`
  ].join('|'),
  'gu'
);
const LETTER = 'a';

/** The text in which `marked` looks for what ends an emphasis, with letters for such punctuation. */
export function maskBeside(masked: string): string {
  return masked.replace(AS_LETTERS, (mark) => LETTER.repeat(mark.length));
}

/** Whether the marks that `src` begins with may open although punctuation stands behind them: masked, it is a letter. */
export function opensBeside(src: string, masked: string): boolean {
  const [marks = ''] = /^(?:\*+|~+)/.exec(src) ?? [];
  if (marks === '') return false;
  return src[marks.length] !== LETTER && masked[masked.length - src.length + marks.length] === LETTER;
}
