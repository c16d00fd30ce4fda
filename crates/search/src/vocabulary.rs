//! Look-up of words by similarity, prefix and substring.
//!
//! Words with digits are left out, because a similar number is a different number rather than a
//! typo. Words of scripts without spaces are left out too.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::OnceLock,
};

use levenshtein_automata::{DFA, Distance, LevenshteinAutomatonBuilder};

use crate::token::is_unspaced;

/// Minimum length of a word, in letters, for allowing one edit and for allowing two. The longer one
/// of the two compared words counts, so that a letter may be missing.
const MIN_LEN_ONE_EDIT: usize = 4;
const MIN_LEN_TWO_EDITS: usize = 8;
/// Minimum number of letters of a substring that is looked up.
const MIN_SUBSTRING_LEN: usize = 4;
const MAX_WORD_LEN: usize = 40;

/// Words of a set of texts, with the number of texts that contain each.
pub trait Vocabulary {
    /// Returns similar words with their edit distances, without the word itself. The order is:
    /// nearest first, then words with the same first letter, then the most frequent.
    fn similar(&self, word: &str, limit: usize) -> Vec<(String, u8)>;

    /// Returns the most frequent words with this prefix.
    fn with_prefix(&self, prefix: &str, limit: usize) -> Vec<String>;

    /// Returns the most frequent words that contain `part`, but not as a prefix.
    fn containing(&self, part: &str, limit: usize) -> Vec<String>;
}

/// True for words that can be looked up by similarity, prefix and substring.
#[must_use]
pub fn is_searchable_word(word: &str) -> bool {
    (2..=MAX_WORD_LEN).contains(&word.chars().count())
        && !word.chars().any(|letter| letter.is_numeric() || is_unspaced(letter) || letter == '\n')
}

/// True for parts of words that can be looked up.
#[must_use]
pub fn is_searchable_part(part: &str) -> bool {
    part.chars().count() >= MIN_SUBSTRING_LEN && is_searchable_word(part)
}

/// Measures edit distances to a word. A transposition counts as one edit.
pub struct SpellingMatcher<'a> {
    word: &'a str,
    letters: usize,
    dfa: DFA,
    max_distance: u8,
}

impl<'a> SpellingMatcher<'a> {
    /// Returns `None` if no other word can be similar, because the word is too short or not a
    /// [searchable word](is_searchable_word).
    #[must_use]
    pub fn new(word: &'a str) -> Option<Self> {
        static BUILDERS: OnceLock<[LevenshteinAutomatonBuilder; 2]> = OnceLock::new();
        if !is_searchable_word(word) {
            return None;
        }
        let letters = word.chars().count();
        // The other word may be longer by as many letters as edits are allowed.
        let max_distance = match letters {
            _ if letters + 1 < MIN_LEN_ONE_EDIT => return None,
            _ if letters + 2 < MIN_LEN_TWO_EDITS => 1,
            _ => 2,
        };
        let builders = BUILDERS.get_or_init(|| [1, 2].map(|edits| LevenshteinAutomatonBuilder::new(edits, true)));
        let dfa = builders[usize::from(max_distance) - 1].build_dfa(word);
        Some(Self { word, letters, dfa, max_distance })
    }

    /// Maximum edit distance of a similar word.
    #[must_use]
    pub const fn max_distance(&self) -> u8 {
        self.max_distance
    }

    /// Returns the edit distance of a similar word; `None` if it is not similar, or the same.
    #[must_use]
    pub fn distance(&self, other: &str) -> Option<u8> {
        let Distance::Exact(distance) = self.dfa.eval(other) else { return None };
        let letters = other.chars().count().max(self.letters);
        let is_similar = match distance {
            1 => letters >= MIN_LEN_ONE_EDIT,
            2 => letters >= MIN_LEN_TWO_EDITS,
            _ => false,
        };
        (is_similar && is_searchable_word(other)).then_some(distance)
    }

    /// Returns those of the counted words that are similar, in the order of
    /// [`Vocabulary::similar`].
    #[must_use]
    pub fn rank(&self, counts: HashMap<String, u64>, limit: usize) -> Vec<(String, u8)> {
        let first = self.word.chars().next();
        let mut ranked: Vec<_> = counts
            .into_iter()
            .filter_map(|(other, count)| {
                let distance = self.distance(&other)?;
                Some((distance, other.chars().next() != first, Reverse(count), other))
            })
            .collect();
        ranked.sort_unstable();
        ranked.into_iter().take(limit).map(|(distance, _, _, other)| (other, distance)).collect()
    }
}

/// Returns the most frequent ones of the counted words; of equally frequent ones the first in
/// alphabetical order.
#[must_use]
pub fn most_frequent(counts: HashMap<String, u64>, limit: usize) -> Vec<String> {
    let mut ranked: Vec<(Reverse<u64>, String)> =
        counts.into_iter().map(|(word, count)| (Reverse(count), word)).collect();
    ranked.sort_unstable();
    ranked.into_iter().take(limit).map(|(_, word)| word).collect()
}

/// Vocabulary of a few texts.
#[derive(Clone, Debug, Default)]
pub struct WordCounts(BTreeMap<String, u64>);

impl WordCounts {
    fn filtered(&self, is_included: impl Fn(&str) -> bool) -> HashMap<String, u64> {
        let words = self.0.iter().filter(|(word, _)| is_included(word));
        words.map(|(word, count)| (word.clone(), *count)).collect()
    }
}

impl<T: Into<String>> FromIterator<T> for WordCounts {
    fn from_iter<I: IntoIterator<Item = T>>(words: I) -> Self {
        let mut counts = Self::default();
        for word in words.into_iter().map(Into::into).filter(|word| is_searchable_word(word)) {
            *counts.0.entry(word).or_default() += 1;
        }
        counts
    }
}

impl Vocabulary for WordCounts {
    fn similar(&self, word: &str, limit: usize) -> Vec<(String, u8)> {
        SpellingMatcher::new(word)
            .map(|matcher| matcher.rank(self.filtered(|other| matcher.distance(other).is_some()), limit))
            .unwrap_or_default()
    }

    fn with_prefix(&self, prefix: &str, limit: usize) -> Vec<String> {
        most_frequent(self.filtered(|word| word.starts_with(prefix)), limit)
    }

    fn containing(&self, part: &str, limit: usize) -> Vec<String> {
        if !is_searchable_part(part) {
            return Vec::new();
        }
        most_frequent(self.filtered(|word| word.find(part).is_some_and(|at| at > 0)), limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary(words: &[(&str, usize)]) -> WordCounts {
        words.iter().flat_map(|(word, count)| std::iter::repeat_n(*word, *count)).collect()
    }

    const WORDS: [(&str, usize); 9] = [
        ("message", 50),
        ("messages", 20),
        ("massage", 5),
        ("passage", 9),
        ("umlaufzeit", 3),
        ("laufzeitfehler", 4),
        ("laufzeit", 8),
        ("form", 7),
        ("from", 90),
    ];

    #[test]
    fn typo_finds_nearest_words_first() {
        let words = vocabulary(&WORDS);
        assert_eq!(words.similar("mesage", 20), [("message".to_owned(), 1), ("messages".to_owned(), 2)]);
        assert_eq!(words.similar("fomr", 20), [("form".to_owned(), 1)]);
        let near: Vec<(String, u8)> = words.similar("massages", 20);
        let near: Vec<(&str, u8)> = near.iter().map(|(word, distance)| (word.as_str(), *distance)).collect();
        assert_eq!(near, [("messages", 1), ("massage", 1), ("message", 2), ("passage", 2)]);
        // If a letter is missing, the length of the intended word counts.
        assert_eq!(words.similar("fro", 20), [("from".to_owned(), 1)]);
        assert_eq!(words.similar("frm", 20), [("from".to_owned(), 1), ("form".to_owned(), 1)]);
        assert!(words.similar("fo", 20).is_empty() && words.similar("orm", 20) == [("form".to_owned(), 1)]);
        assert_eq!(words.similar("mesaes", 20), [("messages".to_owned(), 2)]);
    }

    #[test]
    fn finds_prefixes_and_substrings_most_frequent_first() {
        let words = vocabulary(&WORDS);
        assert_eq!(words.with_prefix("mess", 20), ["message", "messages"]);
        assert_eq!(words.with_prefix("mess", 1), ["message"]);
        assert_eq!(words.containing("fzeit", 20), ["laufzeit", "laufzeitfehler", "umlaufzeit"]);
        assert!(words.containing("zeit", 20).len() == 3 && words.containing("eit", 20).is_empty());
    }

    #[test]
    fn leaves_out_numbers_and_bigrams() {
        let words = ["nat1234", "今天", "x", "ok"];
        assert_eq!(words.into_iter().collect::<WordCounts>().0.into_keys().collect::<Vec<_>>(), ["ok"]);
    }
}
