//! Comparison of messages with the keywords of users.

use search::{Token, is_unspaced, tokens};

/// Keyword in the form in which it is compared with texts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct KeywordPattern {
    /// Folded words; at least one.
    words: Vec<String>,
    /// Signs directly before the first word, such as the dot of `.NET`.
    before: String,
    /// Signs directly after the last word, such as the plus signs of `C++`.
    after: String,
}

impl KeywordPattern {
    /// Returns `None` if the keyword has neither a letter nor a digit.
    pub(super) fn parse(keyword: &str) -> Option<Self> {
        let found = tokens(keyword).words;
        let (first, last) = (found.first()?, found.last()?);
        let before = keyword[..first.range.start].rsplit(char::is_whitespace).next();
        let after = keyword[last.range.end..].split(char::is_whitespace).next();
        let [before, after] = [before, after].map(|signs| signs.unwrap_or_default().to_owned());
        Some(Self { before, after, words: found.into_iter().map(|token| token.term).collect() })
    }

    /// Word by which keywords are looked up.
    pub(super) fn first_word(&self) -> &str {
        &self.words[0]
    }

    /// True if the keyword occurs in the text with these words.
    pub(super) fn occurs_in(&self, text: &str, words: &[Token]) -> bool {
        words.windows(self.words.len()).any(|part| {
            let are_equal = part.iter().zip(&self.words).all(|(token, word)| is_match(token, word));
            let (Some(first), Some(last)) = (part.first(), part.last()) else { return false };
            are_equal
                && text[..first.range.start].ends_with(&self.before)
                && text[last.range.end..].starts_with(&self.after)
        })
    }
}

/// Words of a text by which its keywords are looked up. Scripts without spaces are split into bigrams, so each of their
/// characters may be a keyword too.
pub(super) fn lookup_words(words: &[Token]) -> impl Iterator<Item = String> {
    let letters = words.iter().flat_map(|token| token.term.chars()).filter(|letter| is_unspaced(*letter));
    words.iter().map(|token| token.term.clone()).chain(letters.map(String::from))
}

/// A single character of a script without spaces occurs only in bigrams.
fn is_match(token: &Token, word: &str) -> bool {
    let mut letters = word.chars();
    let is_single = letters.next().is_some_and(is_unspaced) && letters.next().is_none();
    token.term == word || is_single && token.term.contains(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_a_keyword_are_part_of_it() {
        for (keyword, text, occurs) in [
            ("lb", "the toolbar is new", false),
            ("lb", "ask lb, please", true),
            ("C++", "take vitamin C daily", false),
            ("C++", "we write C++ here", true),
            (".NET", "the net is torn", false),
            (".NET", "for .net 9", true),
            ("#42", "room 42", false),
            ("#42", "see #42.", true),
            ("café", "the cafe is open", true),
            ("release train", "the release  train leaves", true),
            ("release train", "train release", false),
            ("on-call", "who is on-call?", true),
            ("don’t", "don't worry", true),
            ("发布", "今天发布新版本", true),
            ("税", "请看税表", true),
            ("税", "请看表", false),
            ("リリース", "明日リリースします", true),
        ] {
            let pattern = KeywordPattern::parse(keyword).unwrap();
            let words = tokens(text).words;
            assert_eq!(pattern.occurs_in(text, &words), occurs, "{keyword} in {text}");
            let is_looked_up = lookup_words(&words).any(|word| word == pattern.first_word());
            assert!(is_looked_up || !occurs, "{keyword} in {text}");
        }
        assert_eq!(KeywordPattern::parse("++"), None);
        assert_ne!(KeywordPattern::parse("C"), KeywordPattern::parse("C++"));
    }
}
