//! Tokenizer.
//!
//! Letters lose their case and diacritics, and characters other than letters and digits separate
//! words. `getUserName` is indexed as three words and also as a whole. Text in scripts without
//! spaces between words is split into bigrams.

use std::ops::Range;

use unicode_normalization::char::is_combining_mark;

use crate::fold::fold_text;

/// Maximum number of words per text that are indexed. PostgreSQL supports positions up to 16,383.
pub const MAX_TOKENS: usize = 10_000;
/// Maximum length of a word, in characters; the rest is cut off.
const MAX_CHARS: usize = 64;

/// Word or other searchable part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Form in which the token is indexed.
    pub term: String,
    /// Byte range in the text.
    pub range: Range<usize>,
    /// Index of the word in the text.
    pub position: usize,
}

/// All tokens of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Words in the order of the text. Phrases are matched against these.
    pub words: Vec<Token>,
    /// Additional searchable tokens: words as a whole that were split into parts, and the last
    /// character of a run without spaces. They have the position of their first part.
    pub additional: Vec<Token>,
}

impl Tokens {
    fn is_full(&self) -> bool {
        self.words.len() + self.additional.len() >= MAX_TOKENS
    }

    fn push(&mut self, text: &str, range: Range<usize>) {
        let term = term(&text[range.clone()]);
        if !term.is_empty() {
            let position = self.words.len();
            self.words.push(Token { term, range, position });
        }
    }
}

/// Splits `text` into tokens.
#[must_use]
pub fn tokens(text: &str) -> Tokens {
    let mut found = Tokens::default();
    let mut chars = text.char_indices().peekable();
    while let Some((start, first)) = chars.next() {
        if found.is_full() {
            break;
        }
        if is_unspaced(first) {
            let mut run = vec![start];
            let mut end = start + first.len_utf8();
            while let Some(&(at, next)) = chars.peek().filter(|(_, next)| is_unspaced(*next)) {
                // A vowel sign belongs to the preceding character.
                if !is_combining_mark(next) {
                    run.push(at);
                }
                end = at + next.len_utf8();
                chars.next();
            }
            push_bigrams(text, &run, end, &mut found);
        } else if first.is_alphanumeric() {
            let mut end = start + first.len_utf8();
            while let Some(&(at, next)) = chars.peek().filter(|(_, next)| is_word_continuation(*next)) {
                end = at + next.len_utf8();
                chars.next();
            }
            word(text, start..end, &mut found);
        }
    }
    found
}

fn is_word_continuation(next: char) -> bool {
    !is_unspaced(next) && (next.is_alphanumeric() || is_combining_mark(next))
}

/// Adds a word. If it is in camel case, also adds its parts.
fn word(text: &str, range: Range<usize>, found: &mut Tokens) {
    let position = found.words.len();
    let mut start = range.start;
    for hump in camel_case_offsets(&text[range.clone()]) {
        found.push(text, start..range.start + hump);
        start = range.start + hump;
    }
    found.push(text, start..range.end);
    if found.words.len() > position + 1 {
        let term = term(&text[range.clone()]);
        found.additional.push(Token { term, range, position });
    }
}

/// Returns the offsets at which the parts of a word like `getUserName` or `HTTPServer` start,
/// except the first.
fn camel_case_offsets(word: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let letters: Vec<(usize, char)> = word.char_indices().filter(|(_, c)| !is_combining_mark(*c)).collect();
    for (place, (at, letter)) in letters.iter().enumerate().skip(1) {
        let before = letters[place - 1].1;
        let after = letters.get(place + 1).map(|(_, c)| *c);
        let rises = letter.is_uppercase() && before.is_lowercase();
        let ends_capitals = letter.is_uppercase() && before.is_uppercase() && after.is_some_and(char::is_lowercase);
        if rises || ends_capitals {
            found.push(*at);
        }
    }
    found
}

/// Adds the bigrams of a run of characters without spaces.
fn push_bigrams(text: &str, run: &[usize], end: usize, found: &mut Tokens) {
    let ends = |place: usize| run.get(place).copied().unwrap_or(end);
    if run.len() < 2 {
        found.push(text, run.first().copied().unwrap_or(end)..end);
        return;
    }
    for (place, start) in run.iter().enumerate().take(run.len() - 1) {
        if found.is_full() {
            return;
        }
        found.push(text, *start..ends(place + 2));
    }
    let last = run[run.len() - 1]..end;
    if let Some(position) = found.words.len().checked_sub(1) {
        found.additional.push(Token { term: term(&text[last.clone()]), range: last, position });
    }
}

/// True if the letter belongs to a script that has no spaces between words.
#[must_use]
pub fn is_unspaced(letter: char) -> bool {
    matches!(u32::from(letter),
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF // Thai, Lao, Burmese, Khmer
        | 0x3040..=0x30FF | 0x31F0..=0x31FF // kana
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF // Han
        | 0xAC00..=0xD7AF // Hangul
    ) && (letter.is_alphanumeric() || is_combining_mark(letter))
}

fn term(word: &str) -> String {
    fold_text(word).chars().take(MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        tokens(text).words.into_iter().map(|token| token.term).collect()
    }

    fn others(text: &str) -> Vec<String> {
        tokens(text).additional.into_iter().map(|token| token.term).collect()
    }

    #[test]
    fn marks_and_case_are_folded() {
        assert_eq!(words("Trần Đặng, Straße & Ærø — ŁÓDŹ"), ["tran", "dang", "strasse", "aero", "lodz"]);
        assert_eq!(words("e\u{301}te\u{301} ﬁne İstanbul Ὀδυσσεύς"), ["ete", "fine", "istanbul", "οδυσσευσ"]);
        assert_eq!(words("１２３ ②"), ["123", "2"]);
        assert_eq!(words("नमस्ते दुनिया"), ["नमस्ते", "दुनिया"]);
        assert_eq!(words("\u{958}लम"), words("\u{915}\u{93C}लम"), "a letter with a dot, in one and in two characters");
        assert_eq!(words("Ǿre ﹸ ⓐ"), ["ore", "a"]);
    }

    #[test]
    fn identifiers_are_found_by_their_parts_and_whole() {
        assert_eq!(words("getUserName HTTPServer"), ["get", "user", "name", "http", "server"]);
        assert_eq!(others("getUserName HTTPServer"), ["getusername", "httpserver"]);
        assert_eq!(
            words("NAT-1234 src/main.rs snake_case a.b@c.de"),
            ["nat", "1234", "src", "main", "rs", "snake", "case", "a", "b", "c", "de"]
        );
        assert!(others("Hello WORLD").is_empty());
    }

    #[test]
    fn splits_scripts_without_spaces_into_bigrams() {
        assert_eq!(words("今天天气 ok"), ["今天", "天天", "天气", "ok"]);
        assert_eq!(others("今天天气"), ["气"]);
        assert_eq!(words("猫"), ["猫"]);
        assert_eq!(words("안녕하세요"), ["안녕", "녕하", "하세", "세요"]);
        assert_eq!(words("abc今天"), ["abc", "今天"]);
    }

    #[test]
    fn positions_are_consecutive_and_ranges_cover_the_words() {
        let text = "x getUserName — Đặng";
        for (place, token) in tokens(text).words.iter().enumerate() {
            assert_eq!(token.position, place);
            assert_eq!(fold_text(&text[token.range.clone()]), token.term);
        }
        assert_eq!(tokens(text).additional[0].position, 1);
    }

    #[test]
    fn limits_the_number_of_words() {
        let found = tokens(&"word ".repeat(50_000));
        assert_eq!(found.words.len(), MAX_TOKENS);
        assert_eq!(words(&"x".repeat(1_000))[0].len(), MAX_CHARS);
    }

    proptest! {
        #[test]
        fn tokens_lie_within_any_text(text in "\\PC{0,80}") {
            let found = tokens(&text);
            for token in found.words.iter().chain(&found.additional) {
                prop_assert!(text.get(token.range.clone()).is_some());
                prop_assert!(!token.term.is_empty() && !token.term.contains(char::is_whitespace), "{token:?}");
            }
        }

        #[test]
        fn folding_is_idempotent(text in "\\PC{0,40}") {
            prop_assert_eq!(fold_text(&fold_text(&text)), fold_text(&text));
        }
    }
}
