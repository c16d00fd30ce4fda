/**
 * Folds letters, so that a search ignores case, accents, width and Unicode form: “tran” finds “Trần”, “o'brien” finds “O’Brien”. The server compares
 * names and titles in the same way (`crates/search/src/fold.rs`); the tests of both use `folded.txt`.
 */
const ACCENT =
  // eslint-disable-next-line no-misleading-character-class -- the class lists combining characters one by one
  /[\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe2f]/g;
/** Joiners, bidirectional marks and similar characters. */
// eslint-disable-next-line no-misleading-character-class -- the class lists combining characters one by one
const INVISIBLE = /[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\u{e0100}-\u{e01ef}]/gu;
/** Letters that people replace by others if their keyboard lacks them. */
const PLAIN: Readonly<Record<string, string>> = {
  đ: 'd',
  ð: 'd',
  ß: 'ss',
  ø: 'o',
  ł: 'l',
  æ: 'ae',
  œ: 'oe',
  þ: 'th',
  ı: 'i',
  ς: 'σ'
};

/** Replaces typographic quotation marks and dashes, which keyboards insert, by plain ones. */
export function normalizePunctuation(text: string): string {
  return text.replace(/[\u2018\u2019\u201b\u02bc\u2032]/g, "'").replace(/[\u2010-\u2015\u2212]/g, '-');
}

export function fold(text: string): string {
  return normalizePunctuation(text.normalize('NFKC').normalize('NFD'))
    .toLowerCase()
    .replace(ACCENT, '')
    .replace(INVISIBLE, '')
    .replace(/[\u201c\u201d]/g, '"')
    .replace(/[đðßøłæœþıς]/g, (letter) => PLAIN[letter] ?? letter)
    .replace(/\s+/g, ' ')
    .normalize('NFC');
}
