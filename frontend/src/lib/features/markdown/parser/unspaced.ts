/** Sources of regular expressions (with the flag `u`) about scripts that don't separate words by spaces. */

/** Letters of these scripts. Includes Hangul, in which particles follow a word directly. */
export const UNSPACED = String.raw`[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Bopo}\p{scx=Hang}\p{scx=Yiii}\p{scx=Thai}\p{scx=Laoo}\p{scx=Khmr}\p{scx=Mymr}\p{scx=Tibt}]`;
/** Punctuation of these scripts. */
export const WIDE_MARK = String.raw`(?=[\u3001-\u303f\ufe10-\ufe1f\ufe30-\ufe4f\uff00-\uffef])[\p{P}\p{S}]`;

/** Whether a text may contain such letters. Avoids Unicode classes, which are slow to compile. */
export function mayBeUnspaced(text: string): boolean {
  return /[\u00b7\u02bc-\u1dff\u2e80-\uffff]/.test(text);
}
