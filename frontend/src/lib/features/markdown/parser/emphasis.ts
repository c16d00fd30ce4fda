/**
 * Emphasis in scripts without spaces. CommonMark requires a space between a delimiter and punctuation, which these scripts don't use: `**重要。**次`
 * would show its asterisks. Therefore their punctuation counts as letters, and so does other punctuation beside their text.
 */
import { lazily } from '#lib/util/lazy.ts';
import { mayBeUnspaced, UNSPACED, WIDE_MARK } from './unspaced.ts';

const OTHER_MARK = String.raw`(?![*_~])[\p{P}\p{S}]`;
const BESIDE = `(?:${UNSPACED}|${WIDE_MARK})`;
const asLetters = lazily(() => {
  const wide = `(?<=[*~])${WIDE_MARK}|${WIDE_MARK}(?=[*~])`;
  const other = `(?<=${BESIDE}(?:\\*+|~+))${OTHER_MARK}|${OTHER_MARK}(?=(?:\\*+|~+)${BESIDE})`;
  return new RegExp(`${wide}|${other}`, 'gu');
});
const LETTER = 'a';

/** Whether the asterisks are operators, as in `2*3*4` and `x**2 + y**2`. */
export function isProduct(raw: string, before = '', after = ''): boolean {
  const [, first = '', last = ''] = /^\*+([a-z\d(])(?:.*([a-z\d)]))?\*+$/is.exec(raw) ?? [];
  const beside = before + first + (last || first) + after;
  return first !== '' && /^[a-z\d)][a-z\d(][a-z\d)][a-z\d(]$/i.test(beside) && /[\d()]/.test(beside);
}

/** Whether single delimiters stand between numbers or words, as in `10~20, 30~40`. */
export function isRange(raw: string, before = '', after = ''): boolean {
  return !raw.startsWith('~~') && (/[\p{L}\p{N}]/u.test(before) || /\p{N}/u.test(after));
}

/** Whether the delimiters are part of an emoticon (`*_*`) or of a name (`__init__.py`). */
export function isFace(raw: string, after: string): boolean {
  return (
    // Emoticons contain no letters, which is checked first because it is fast.
    (!/[a-z\d]/i.test(raw) && /^([*_~])(?!\1)(?:(?!\p{Emoji_Presentation})[\p{P}\p{S}])+\1$/u.test(raw)) ||
    (/^__[a-z_]+__$/.test(raw) && /^(?:\(|\.[a-z])/.test(after))
  );
}

/** Replaces punctuation that counts as letters by letters, in the text by which `marked` finds delimiters. */
export function maskBeside(masked: string): string {
  if (!/[*~]/.test(masked) || !mayBeUnspaced(masked)) return masked;
  return masked.replace(asLetters(), (mark) => LETTER.repeat(mark.length));
}

/** Whether the delimiters at the start of `src` may open emphasis, because the punctuation after them was replaced by a letter. */
export function opensBeside(src: string, masked: string): boolean {
  const [marks = ''] = /^(?:\*+|~+)/.exec(src) ?? [];
  if (marks === '') return false;
  return src[marks.length] !== LETTER && masked[masked.length - src.length + marks.length] === LETTER;
}
