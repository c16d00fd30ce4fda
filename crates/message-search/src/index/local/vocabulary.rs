//! Words of the index.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use ::search::{SpellingMatcher, Vocabulary, is_searchable_part, is_searchable_word, most_frequent};
use memchr::memmem;
use tantivy::{InvertedIndexReader, Searcher, Term, index::SegmentId, query::FuzzyTermQuery, schema::Field};

/// Maximum number of words that a look-up examines. Needed because users may have written millions
/// of words that match.
const MAX_EXAMINED: usize = 100_000;
/// Minimum number of letters of a prefix that is expanded to words.
const MIN_PREFIX_LEN: usize = 2;
/// Maximum size of the words of all segments that are held in memory for searching parts of words.
const MAX_LIST_BYTES: usize = 24 << 20;
/// Number of letters before and after a letter that may stand in its place at the start of a
/// misspelt word, in the order of Unicode.
const LETTER_RANGE: u32 = 32;

/// Lists of the words of segments, one word per line.
#[derive(Default)]
pub(super) struct WordLists(Mutex<HashMap<SegmentId, Arc<[u8]>>>);

impl WordLists {
    /// Forgets the lists of segments that no longer exist.
    pub fn retain(&self, searcher: &Searcher) {
        let segments = searcher.generation().segments();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|id, _| segments.contains_key(id));
    }

    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn of(&self, id: SegmentId, index: &InvertedIndexReader) -> Arc<[u8]> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = known.get(&id) {
            return Arc::clone(list);
        }
        let room = MAX_LIST_BYTES.saturating_sub(known.values().map(|list| list.len()).sum());
        drop(known);
        let mut list = Vec::new();
        if let Ok(mut words) = index.terms().stream() {
            while words.advance() && list.len() < room {
                if std::str::from_utf8(words.key()).is_ok_and(is_searchable_word) {
                    list.extend_from_slice(words.key());
                    list.push(b'\n');
                }
            }
        }
        let list: Arc<[u8]> = list.into();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&list));
        list
    }
}

/// Words of the index at the time of a commit.
pub(super) struct IndexVocabulary {
    pub searcher: Searcher,
    pub field: Field,
    pub lists: Arc<WordLists>,
}

/// Words with the number of messages that contain them.
type Counts = HashMap<String, u64>;

impl IndexVocabulary {
    /// Collects words from each segment. Segments that can't be read are left out.
    fn collect(&self, mut collect: impl FnMut(SegmentId, &InvertedIndexReader, &mut Counts)) -> Counts {
        let mut counts = Counts::new();
        for segment in self.searcher.segment_readers() {
            match segment.inverted_index(self.field) {
                Ok(index) => collect(segment.segment_id(), &index, &mut counts),
                Err(error) => tracing::warn!(%error, "failed to read the words of the search index"),
            }
        }
        counts
    }
}

fn add(counts: &mut Counts, word: &[u8], count: u32) {
    let Ok(word) = std::str::from_utf8(word) else { return };
    if let Some(sum) = counts.get_mut(word) {
        *sum += u64::from(count);
    } else if is_searchable_word(word) {
        counts.insert(word.to_owned(), u64::from(count));
    }
}

impl Vocabulary for IndexVocabulary {
    /// Looks through the words with the same first letter, and looks up those that differ from
    /// `word` by one edit at the start.
    fn similar(&self, word: &str, limit: usize) -> Vec<(String, u8)> {
        let Some(matcher) = SpellingMatcher::new(word) else { return Vec::new() };
        let term = Term::from_field_text(self.field, word);
        let Ok(automaton) = FuzzyTermQuery::new(term, matcher.max_distance(), true).automaton() else {
            return Vec::new();
        };
        let Some(first) = word.chars().next() else { return Vec::new() };
        let (start, end) = (first.to_string(), after(first).to_string());
        let others = spellings_of_start(word, first);
        let counts = self.collect(|_, index, counts| {
            let terms = index.terms();
            let Ok(mut words) = terms.search(&automaton).ge(&start).lt(&end).into_stream() else { return };
            for _ in 0..MAX_EXAMINED {
                if !words.advance() {
                    break;
                }
                add(counts, words.key(), words.value().doc_freq);
            }
            for other in &others {
                if let Ok(Some(found)) = terms.get(other) {
                    add(counts, other.as_bytes(), found.doc_freq);
                }
            }
        });
        matcher.rank(counts, limit)
    }

    fn with_prefix(&self, prefix: &str, limit: usize) -> Vec<String> {
        if prefix.chars().count() < MIN_PREFIX_LEN {
            return Vec::new();
        }
        let mut end = prefix.to_owned();
        let Some(last) = end.pop() else { return Vec::new() };
        end.push(after(last));
        let counts = self.collect(|_, index, counts| {
            let Ok(mut words) = index.terms().range().ge(prefix).lt(&end).into_stream() else { return };
            for _ in 0..MAX_EXAMINED {
                if !words.advance() {
                    break;
                }
                add(counts, words.key(), words.value().doc_freq);
            }
        });
        most_frequent(counts, limit)
    }

    fn containing(&self, part: &str, limit: usize) -> Vec<String> {
        if !is_searchable_part(part) {
            return Vec::new();
        }
        let counts = self.collect(|id, index, counts| {
            let list = self.lists.of(id, index);
            for word in words_containing(&list, part.as_bytes()).take(MAX_EXAMINED) {
                if let Ok(Some(found)) = index.terms().get(word) {
                    add(counts, word, found.doc_freq);
                }
            }
        });
        most_frequent(counts, limit)
    }
}

/// Returns the words of a list that contain `part`, but not as a prefix.
fn words_containing<'a>(list: &'a [u8], part: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    memmem::find_iter(list, part).filter_map(move |at| {
        let start = memchr::memrchr(b'\n', &list[..at]).map_or(0, |end| end + 1);
        let end = memchr::memchr(b'\n', &list[at..]).map_or(list.len(), |length| at + length);
        let word = &list[start..end];
        // If a word contains `part` twice, only the first occurrence counts.
        (start < at && memmem::find(word, part) == Some(at - start)).then_some(word)
    })
}

/// Returns the letter after this one in the order of Unicode.
fn after(letter: char) -> char {
    (u32::from(letter) + 1..=u32::from(char::MAX)).find_map(char::from_u32).unwrap_or(char::MAX)
}

/// Returns the words that differ from `word` by one edit which changes its first letter.
fn spellings_of_start(word: &str, first: char) -> Vec<String> {
    let rest = &word[first.len_utf8()..];
    let mut spellings = vec![rest.to_owned()];
    let mut letters = rest.chars();
    if let Some(second) = letters.next() {
        spellings.push(format!("{second}{first}{}", letters.as_str()));
    }
    let range = if first.is_ascii() {
        u32::from('a')..=u32::from('z')
    } else {
        u32::from(first).saturating_sub(LETTER_RANGE)..=u32::from(first).saturating_add(LETTER_RANGE)
    };
    for letter in range.filter_map(char::from_u32).filter(|letter| letter.is_alphabetic()) {
        spellings.push(format!("{letter}{rest}"));
        spellings.push(format!("{letter}{word}"));
    }
    spellings
}
