//! In-memory vocabulary of all indexed words, for looking them up by similarity, prefix and
//! substring.
//!
//! Words with digits are left out, because a similar number is a different number rather than a
//! typo. Words of scripts without spaces are left out too.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::{Arc, OnceLock},
};

use fst::{Automaton as _, IntoStreamer as _, Map, MapBuilder, Streamer as _, automaton::Str, map::OpBuilder};
use levenshtein_automata::{DFA, LevenshteinAutomatonBuilder};
use memchr::memmem;

use crate::token::is_unspaced;

/// Minimum length of a word, in letters, for allowing one edit and for allowing two. The longer one
/// of the two compared words counts, so that a letter may be missing.
const MIN_LEN_ONE_EDIT: usize = 4;
const MIN_LEN_TWO_EDITS: usize = 8;
/// Minimum number of letters of a substring that is looked up.
const MIN_SUBSTRING_LEN: usize = 4;
const MAX_WORD_LEN: usize = 40;
/// Maximum number of words in the small second map, which contains the new words. Above it, the two
/// maps are merged.
const MAX_FRESH_WORDS: usize = 5_000;
/// Maximum number of words, which limits memory (to about 20 MB) and time. Words added later are
/// found only by exact matches.
const MAX_WORDS: usize = 1_000_000;
/// Maximum number of matching words that a look-up examines, in alphabetical order. Needed because
/// users may have written millions of words that match.
const MAX_EXAMINED: usize = 100_000;

/// Indexed word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Number of the word. Words are numbered in the order in which they first occurred.
    pub number: i64,
    pub text: String,
    /// Number of messages that contain the word.
    pub count: u64,
}

/// Vocabulary. Cheap to clone and to extend.
#[derive(Clone, Debug, Default)]
pub struct Dictionary {
    merged_words: Arc<MergedWords>,
    recent_words: Arc<BTreeMap<String, u64>>,
    last: i64,
}

/// Sorted words, each with the number of messages that contained it at the time of the merge.
#[derive(Debug, Default)]
struct MergedWords {
    map: Map<Vec<u8>>,
    /// Words of `map`, one per line, for searching substrings.
    lines: Vec<u8>,
}

impl Dictionary {
    /// Returns the number of the word that was added last.
    #[must_use]
    pub fn last_number(&self) -> i64 {
        self.last
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.merged_words.map.len() + self.recent_words.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the vocabulary extended by `terms`. May take up to a tenth of a second.
    #[must_use]
    pub fn with(&self, terms: Vec<Term>) -> Self {
        let mut extended = self.clone();
        extended.last = terms.iter().map(|term| term.number).fold(self.last, i64::max);
        let room = MAX_WORDS.saturating_sub(self.len());
        let mut kept = terms.into_iter().filter(|term| is_indexable(&term.text)).take(room).peekable();
        if kept.peek().is_some() {
            Arc::make_mut(&mut extended.recent_words).extend(kept.map(|term| (term.text, term.count)));
        }
        if extended.recent_words.len() > MAX_FRESH_WORDS {
            extended.merge();
        }
        extended
    }

    fn merge(&mut self) {
        let fresh = std::mem::take(&mut self.recent_words);
        let mut lines = Vec::new();
        let mut together = || {
            // The iterator is sorted and has no duplicates, as the map requires.
            let fresh = Map::from_iter(fresh.iter().map(|(word, count)| (word, *count)))?;
            let mut union = OpBuilder::new().add(&self.merged_words.map).add(&fresh).union();
            let mut builder = MapBuilder::memory();
            while let Some((word, counts)) = union.next() {
                // If both maps contain a word, the count in the map of new words is the current
                // one.
                let count = counts.iter().max_by_key(|count| count.index).map_or(0, |count| count.value);
                builder.insert(word, count)?;
                lines.extend_from_slice(word);
                lines.push(b'\n');
            }
            builder.into_inner().and_then(Map::new)
        };
        let map = together();
        match map {
            Ok(map) => self.merged_words = Arc::new(MergedWords { map, lines }),
            Err(error) => tracing::error!(%error, "failed to merge search vocabulary"),
        }
    }

    /// Returns similar words with their edit distances, without the word itself. The order is:
    /// nearest first, then words with the same first letter, then the most frequent.
    #[must_use]
    pub fn similar(&self, word: &str, most: usize) -> Vec<(String, u8)> {
        let Some(dfa) = automaton(word) else { return Vec::new() };
        let mut found = Vec::new();
        let typed = word.chars().count();
        let mut take = |near: &str, count: u64| {
            let distance = dfa.eval(near).to_u8();
            let letters = near.chars().count().max(typed);
            let is_near = match distance {
                1 => letters >= MIN_LEN_ONE_EDIT,
                2 => letters >= MIN_LEN_TWO_EDITS,
                _ => false,
            };
            if is_near {
                found.push((distance, near.chars().next() != word.chars().next(), u64::MAX - count, near.to_owned()));
            }
        };
        let mut stream = self.merged_words.map.search(&dfa).into_stream();
        for _ in 0..MAX_EXAMINED {
            let Some((near, count)) = stream.next() else { break };
            if let Ok(near) = std::str::from_utf8(near) {
                take(near, count);
            }
        }
        for (near, count) in self.recent_words.as_ref() {
            if matches!(dfa.eval(near), levenshtein_automata::Distance::Exact(_)) {
                take(near, *count);
            }
        }
        found.sort_unstable();
        found.dedup_by(|one, other| one.3 == other.3);
        found.into_iter().take(most).map(|(distance, _, _, near)| (near, distance)).collect()
    }

    /// Returns the most frequent words with this prefix.
    #[must_use]
    pub fn with_prefix(&self, word: &str, most: usize) -> Vec<String> {
        let mut found = MostFrequent::new(most);
        let mut stream = self.merged_words.map.search(Str::new(word).starts_with()).into_stream();
        for _ in 0..MAX_EXAMINED {
            let Some((begun, count)) = stream.next() else { break };
            found.offer(begun, count);
        }
        let fresh = self.recent_words.range(word.to_owned()..).take_while(|(begun, _)| begun.starts_with(word));
        fresh.for_each(|(begun, count)| found.offer(begun.as_bytes(), *count));
        found.words()
    }

    /// Returns the most frequent words that contain `part`, but not as a prefix.
    #[must_use]
    pub fn containing(&self, part: &str, most: usize) -> Vec<String> {
        if part.chars().count() < MIN_SUBSTRING_LEN || !is_indexable(part) {
            return Vec::new();
        }
        let lines = &self.merged_words.lines;
        let mut found = MostFrequent::new(most);
        for at in memmem::find_iter(lines, part.as_bytes()).take(MAX_EXAMINED) {
            let start = memchr::memrchr(b'\n', &lines[..at]).map_or(0, |end| end + 1);
            let end = memchr::memchr(b'\n', &lines[at..]).map_or(lines.len(), |length| at + length);
            let word = &lines[start..end];
            // If a word contains `part` twice, only the first occurrence counts.
            if start < at && memmem::find(word, part.as_bytes()) == Some(at - start) {
                found.offer(word, self.merged_words.map.get(word).unwrap_or(0));
            }
        }
        let fresh = self.recent_words.iter().filter(|(word, _)| word.find(part).is_some_and(|at| at > 0));
        fresh.for_each(|(word, count)| found.offer(word.as_bytes(), *count));
        found.words()
    }
}

/// Collects the most frequent ones of the words offered, and holds only these in memory.
struct MostFrequent {
    most: usize,
    /// Heap with the rarest word on top. Holds twice the wanted number, because a word may be in
    /// both maps.
    heap: BinaryHeap<(Reverse<u64>, Vec<u8>)>,
}

impl MostFrequent {
    const fn new(most: usize) -> Self {
        Self { most, heap: BinaryHeap::new() }
    }

    fn offer(&mut self, word: &[u8], count: u64) {
        if self.heap.len() >= 2 * self.most {
            let Some(rarest) = self.heap.peek() else { return };
            if (Reverse(count), word) >= (rarest.0, rarest.1.as_slice()) {
                return;
            }
            self.heap.pop();
        }
        self.heap.push((Reverse(count), word.to_vec()));
    }

    fn words(self) -> Vec<String> {
        let mut words: Vec<String> = Vec::with_capacity(self.most);
        for word in self.heap.into_sorted_vec().into_iter().filter_map(|(_, word)| String::from_utf8(word).ok()) {
            if words.len() < self.most && !words.contains(&word) {
                words.push(word);
            }
        }
        words
    }
}

fn is_indexable(word: &str) -> bool {
    (2..=MAX_WORD_LEN).contains(&word.chars().count())
        && !word.chars().any(|letter| letter.is_numeric() || is_unspaced(letter) || letter == '\n')
}

/// Returns a Levenshtein automaton with the maximum edit distance for the length of `word`. A
/// transposition counts as one edit.
fn automaton(word: &str) -> Option<DFA> {
    static BUILDERS: OnceLock<[LevenshteinAutomatonBuilder; 2]> = OnceLock::new();
    let [one, two] = BUILDERS.get_or_init(|| [1, 2].map(|edits| LevenshteinAutomatonBuilder::new(edits, true)));
    if !is_indexable(word) {
        return None;
    }
    // The other word may be longer by as many letters as edits are allowed.
    match word.chars().count() {
        letters if letters + 1 < MIN_LEN_ONE_EDIT => None,
        letters if letters + 2 < MIN_LEN_TWO_EDITS => Some(one.build_dfa(word)),
        _ => Some(two.build_dfa(word)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dictionary(words: &[(&str, u64)]) -> Dictionary {
        let terms = words.iter().zip(1..).map(|((text, count), number)| Term {
            number,
            text: (*text).to_owned(),
            count: *count,
        });
        Dictionary::default().with(terms.collect())
    }

    fn settled(words: &[(&str, u64)]) -> Dictionary {
        let mut dictionary = dictionary(words);
        dictionary.merge();
        dictionary
    }

    const WORDS: [(&str, u64); 9] = [
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
        for dictionary in [dictionary(&WORDS), settled(&WORDS)] {
            assert_eq!(dictionary.similar("mesage", 20), [("message".to_owned(), 1), ("messages".to_owned(), 2)]);
            assert_eq!(dictionary.similar("fomr", 20), [("form".to_owned(), 1)]);
            let near: Vec<(String, u8)> = dictionary.similar("massages", 20);
            let near: Vec<(&str, u8)> = near.iter().map(|(word, distance)| (word.as_str(), *distance)).collect();
            assert_eq!(near, [("messages", 1), ("massage", 1), ("message", 2), ("passage", 2)]);
            // If a letter is missing, the length of the intended word counts.
            assert_eq!(dictionary.similar("fro", 20), [("from".to_owned(), 1)]);
            assert_eq!(dictionary.similar("frm", 20), [("from".to_owned(), 1), ("form".to_owned(), 1)]);
            assert!(
                dictionary.similar("fo", 20).is_empty() && dictionary.similar("orm", 20) == [("form".to_owned(), 1)]
            );
            assert_eq!(dictionary.similar("mesaes", 20), [("messages".to_owned(), 2)]);
        }
    }

    #[test]
    fn finds_prefixes_and_substrings_most_frequent_first() {
        for dictionary in [dictionary(&WORDS), settled(&WORDS)] {
            assert_eq!(dictionary.with_prefix("mess", 20), ["message", "messages"]);
            assert_eq!(dictionary.with_prefix("mess", 1), ["message"]);
            assert_eq!(dictionary.containing("fzeit", 20), ["laufzeit", "laufzeitfehler", "umlaufzeit"]);
            assert!(dictionary.containing("zeit", 20).len() == 3 && dictionary.containing("eit", 20).is_empty());
        }
        let twice = [("tartarus", 1), ("atartarus", 2), ("kuskustar", 3), ("kuskuskus", 4)];
        for dictionary in [dictionary(&twice), settled(&twice)] {
            assert_eq!(dictionary.containing("kusk", 20), [""; 0]);
            assert_eq!(dictionary.containing("tart", 20), ["atartarus"]);
        }
    }

    #[test]
    fn leaves_out_numbers_and_bigrams() {
        let dictionary = dictionary(&[("nat1234", 1), ("今天", 4), ("x", 9), ("ok", 2)]);
        assert_eq!((dictionary.len(), dictionary.last_number()), (1, 4));
    }

    proptest! {
        /// Results don't depend on which of the two maps contains a word.
        #[test]
        fn merging_changes_no_result(words in proptest::collection::btree_map("[a-c]{2,9}", 1_u64..50, 1..60), asked in "[a-c]{3,9}") {
            let words: Vec<(&str, u64)> = words.iter().map(|(word, count)| (word.as_str(), *count)).collect();
            let (fresh, settled) = (dictionary(&words), settled(&words));
            prop_assert_eq!(fresh.similar(&asked, 20), settled.similar(&asked, 20));
            prop_assert_eq!(fresh.with_prefix(&asked, 20), settled.with_prefix(&asked, 20));
            prop_assert_eq!(fresh.containing(&asked, 20), settled.containing(&asked, 20));
        }
    }
}
