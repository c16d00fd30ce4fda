//! Interpretation of the words of a query: exactly as typed, or with similar words.

use std::collections::HashMap;

use crate::{
    deadline::Deadline,
    query::{Atom, Query, RequiredTerm},
    vocabulary::Vocabulary,
};

/// Maximum number of alternatives for a word.
const MAX_ALTERNATIVES: usize = 20;
/// Minimum number of letters of a prefix that is itself searched in the index.
const MIN_PREFIX_LEN: usize = 3;

/// How similar a word is to the typed word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Similarity {
    /// The word contains the typed word.
    Substring,
    /// The word differs from the typed word by this edit distance.
    EditDistance(u8),
    /// The word starts with the typed word.
    Prefix,
    Exact,
}

/// Words that are searched for the words of a query.
#[derive(Clone, Debug, Default)]
pub struct Interpretation {
    /// Alternatives for each wanted word.
    pub alternatives: Vec<HashMap<String, Similarity>>,
    /// For each wanted word: prefix that any word may match. Set if the alternatives don't include
    /// all words with this prefix. A missing entry means that there is none.
    pub prefixes: Vec<Option<String>>,
}

impl Interpretation {
    /// Interprets the words as typed. The last word may be a prefix.
    #[must_use]
    pub fn exact(query: &Query, words: &dyn Vocabulary) -> Self {
        let alternatives = query.required.iter().map(|wanted| find_prefixes(wanted, words)).collect();
        Self { alternatives, ..Self::default() }
    }

    /// Interprets the words with typos, substrings and prefixes. The prefix itself is searched too,
    /// because the most frequent words with it may all be in messages that the user can't read.
    /// Each word is looked up once, and none after the deadline; the remaining words are
    /// interpreted as typed.
    #[must_use]
    pub fn fuzzy(query: &Query, words: &dyn Vocabulary, deadline: Deadline) -> Self {
        let mut known: HashMap<(Option<String>, bool), HashMap<String, Similarity>> = HashMap::new();
        let look_up = |wanted: &RequiredTerm| {
            let mut found = find_prefixes(wanted, words);
            if let Some(word) = &wanted.word {
                for (near, distance) in words.similar(word, MAX_ALTERNATIVES) {
                    found.entry(near).or_insert(Similarity::EditDistance(distance));
                }
                for whole in words.containing(word, MAX_ALTERNATIVES) {
                    found.entry(whole).or_insert(Similarity::Substring);
                }
                found.remove(word);
            }
            found
        };
        let mut understood = |wanted: &RequiredTerm| {
            if deadline.has_passed() {
                return HashMap::new();
            }
            known.entry((wanted.word.clone(), wanted.is_open)).or_insert_with(|| look_up(wanted)).clone()
        };
        let alternatives: Vec<_> = query.required.iter().map(&mut understood).collect();
        let of_more = |(wanted, found): (&RequiredTerm, &HashMap<String, Similarity>)| uncovered_prefix(wanted, found);
        let beginnings = query.required.iter().zip(&alternatives).map(of_more).collect();
        Self { alternatives, prefixes: beginnings }
    }

    /// Merges another interpretation of the same query into this one.
    pub fn add(&mut self, other: Self) {
        self.alternatives.resize_with(self.alternatives.len().max(other.alternatives.len()), HashMap::new);
        for (mine, others) in self.alternatives.iter_mut().zip(other.alternatives) {
            for (word, likeness) in others {
                mine.entry(word).or_insert(likeness);
            }
        }
        self.prefixes.resize(self.prefixes.len().max(other.prefixes.len()), None);
        for (mine, others) in self.prefixes.iter_mut().zip(other.prefixes) {
            *mine = mine.take().or(others);
        }
    }

    /// Returns the prefix that any word may match in place of the wanted word with this index.
    pub(crate) fn prefix(&self, number: usize) -> Option<&str> {
        self.prefixes.get(number)?.as_deref()
    }

    /// Returns the conditions for the index.
    #[must_use]
    pub fn atoms(&self, query: &Query) -> Vec<Vec<Atom>> {
        let of = |(number, wanted): (usize, &RequiredTerm)| {
            let others = self.alternatives.get(number).into_iter().flatten();
            let mut others: Vec<Atom> = others.map(|(word, _)| Atom::Word(word.clone())).collect();
            others.sort();
            let more = self.prefix(number).map(|begun| Atom::Prefix(begun.to_owned()));
            wanted.any.iter().cloned().chain(others).chain(more).collect()
        };
        query.required.iter().enumerate().map(of).collect()
    }
}

fn find_prefixes(wanted: &RequiredTerm, words: &dyn Vocabulary) -> HashMap<String, Similarity> {
    let Some(word) = wanted.word.as_ref().filter(|_| wanted.is_open) else { return HashMap::new() };
    let begun = words.with_prefix(word, MAX_ALTERNATIVES).into_iter().filter(|begun| begun != word);
    begun.map(|begun| (begun, Similarity::Prefix)).collect()
}

/// Returns the word as a prefix if the vocabulary doesn't contain all of its completions: there are
/// more than the maximum, or the word has digits.
fn uncovered_prefix(wanted: &RequiredTerm, found: &HashMap<String, Similarity>) -> Option<String> {
    let word = wanted.word.as_ref().filter(|word| wanted.is_open && word.chars().count() >= MIN_PREFIX_LEN)?;
    // The word itself may be one of the completions; it is not among those found.
    let is_cut = || found.values().filter(|likeness| **likeness == Similarity::Prefix).count() + 1 >= MAX_ALTERNATIVES;
    (word.chars().any(char::is_numeric) || is_cut()).then(|| word.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Matcher, WordCounts};

    fn vocabulary() -> WordCounts {
        ["whale", "whales", "whole", "narwhale", "plum"].into_iter().collect()
    }

    fn found(alternatives: &HashMap<String, Similarity>) -> Vec<(&str, Similarity)> {
        let mut found: Vec<_> = alternatives.iter().map(|(word, likeness)| (word.as_str(), *likeness)).collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn only_the_last_word_may_be_a_prefix() {
        let query = Query::parse("whal whal", 0).unwrap();
        let reading = Interpretation::exact(&query, &vocabulary());
        assert!(reading.alternatives[0].is_empty());
        assert_eq!(found(&reading.alternatives[1]), [("whale", Similarity::Prefix), ("whales", Similarity::Prefix)]);
        let query = Query::parse("whal plum", 0).unwrap();
        assert!(Interpretation::exact(&query, &vocabulary()).alternatives.iter().all(HashMap::is_empty));
    }

    #[test]
    fn adds_typos_and_substrings_to_typed_words() {
        let query = Query::parse("\"blue whale\" whale plum", 0).unwrap();
        let reading = Interpretation::fuzzy(&query, &vocabulary(), Deadline::default());
        assert!(reading.alternatives[0].is_empty(), "phrases are not corrected");
        let like = [
            ("narwhale", Similarity::Substring),
            ("whales", Similarity::EditDistance(1)),
            ("whole", Similarity::EditDistance(1)),
        ];
        assert_eq!(found(&reading.alternatives[1]), like);
        let word = |text: &str| Atom::Word(text.to_owned());
        assert_eq!(reading.atoms(&query)[1], [word("whale"), word("narwhale"), word("whales"), word("whole")]);
    }

    #[test]
    fn interprets_words_as_typed_after_the_deadline() {
        let query = Query::parse("whale plun", 0).unwrap();
        let reading = Interpretation::fuzzy(&query, &vocabulary(), Deadline::after(std::time::Duration::ZERO));
        assert!(reading.alternatives.iter().all(HashMap::is_empty));
        assert_eq!(reading.atoms(&query), Interpretation::default().atoms(&query));
    }

    #[test]
    fn prefix_matches_all_words_regardless_of_their_number() {
        let words: WordCounts = ('a'..='z').map(|letter| format!("project{letter}")).collect();
        for (asked, text) in [("project", "projectz begins"), ("inv20", "see inv2026")] {
            let query = Query::parse(asked, 0).unwrap();
            assert!(Matcher::new(&query, &Interpretation::exact(&query, &words)).matches(text).is_none());
            let wide = Interpretation::fuzzy(&query, &words, Deadline::default());
            assert!(wide.atoms(&query)[0].contains(&Atom::Prefix(asked.to_owned())));
            assert_eq!(Matcher::new(&query, &wide).matches(text).unwrap().highlights.len(), 1);
            assert!(Matcher::new(&query, &wide).matches("projec, invoice").is_none());
        }
        // A prefix isn't searched if it has so few completions that all are listed, as in the first
        // query. Nor if the word isn't the last one, as "project" in the second query.
        for asked in ["projectz", "project plan"] {
            let query = Query::parse(asked, 0).unwrap();
            assert!(Interpretation::fuzzy(&query, &words, Deadline::default()).prefixes.iter().all(Option::is_none));
        }
        let mut reading = Interpretation::default();
        let query = Query::parse("project", 0).unwrap();
        reading.add(Interpretation::fuzzy(&query, &words, Deadline::default()));
        assert_eq!(reading.prefix(0), Some("project"));
    }
}
