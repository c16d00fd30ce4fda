//! Scores a text against a query and locates the matches.

use std::{collections::HashMap, ops::Range};

use crate::{
    interpretation::{Interpretation, Similarity},
    query::{Atom, Query, RequiredTerm},
    token::{Token, Tokens, tokens},
};

/// Bonus if two adjacent words are in the order of the query.
const ADJACENT_BONUS: u32 = 3;
/// Bonus if a word has the diacritics that were typed.
const DIACRITICS_BONUS: u32 = 1;

/// Result of matching a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// Score; higher is better. Comparable among texts that were matched with the same query and
    /// interpretation.
    pub score: u32,
    /// Byte ranges of the matches, sorted and without overlaps.
    pub highlights: Vec<Range<usize>>,
    /// For each wanted word: the word of the text of which it may be a misspelling. Set only if the
    /// text contains nothing closer.
    pub corrections: Vec<Option<String>>,
}

/// Occurrence of a wanted word or phrase.
struct Hit {
    /// Index of the first word; `to` is that of the last word.
    from: usize,
    to: usize,
    range: Range<usize>,
    points: u32,
    similarity: Similarity,
}

/// Matches texts against a query.
#[derive(Clone, Copy, Debug)]
pub struct Matcher<'a> {
    query: &'a Query,
    interpretation: &'a Interpretation,
}

impl<'a> Matcher<'a> {
    #[must_use]
    pub const fn new(query: &'a Query, reading: &'a Interpretation) -> Self {
        Self { query, interpretation: reading }
    }

    /// Matches a text. Returns `None` if it lacks a wanted word or contains an excluded one.
    #[must_use]
    pub fn matches(&self, text: &str) -> Option<Match> {
        let found = tokens(text);
        if self.query.excluded.iter().any(|atom| !occurrences(atom, &found).is_empty()) {
            return None;
        }
        let mut score = 0;
        let mut highlights = Vec::new();
        let mut instead = Vec::with_capacity(self.query.required.len());
        let mut before: Vec<Hit> = Vec::new();
        let alternatives = self.interpretation.alternatives.iter().map(Some).chain(std::iter::repeat(None));
        for (number, (wanted, others)) in self.query.required.iter().zip(alternatives).enumerate() {
            let hits = hits(wanted, (others, self.interpretation.prefix(number)), text, &found);
            let best = hits.iter().max_by_key(|hit| hit.points)?;
            score += best.points;
            let is_typo = matches!(best.similarity, Similarity::EditDistance(_));
            instead.push(is_typo.then(|| text[best.range.clone()].to_lowercase()));
            let ends: std::collections::HashSet<usize> = before.iter().map(|hit| hit.to + 1).collect();
            if hits.iter().any(|hit| ends.contains(&hit.from)) {
                score += ADJACENT_BONUS;
            }
            highlights.extend(hits.iter().map(|hit| hit.range.clone()));
            before = hits;
        }
        Some(Match { score, highlights: merge_ranges(highlights), corrections: instead })
    }
}

/// Returns the occurrences of a wanted word: as typed, or as one of its alternatives (`others`, or
/// any word with its prefix).
fn hits(
    wanted: &RequiredTerm,
    (others, beginning): (Option<&HashMap<String, Similarity>>, Option<&str>),
    text: &str,
    found: &Tokens,
) -> Vec<Hit> {
    let exact = wanted.any.iter().flat_map(|atom| occurrences(atom, found)).map(|place| (place, Similarity::Exact));
    let like = found.words.iter().chain(&found.additional).filter_map(|token| {
        let named = others.and_then(|others| others.get(&token.term)).copied();
        let begun = || beginning.filter(|begun| token.term.len() > begun.len() && token.term.starts_with(*begun));
        let likeness = named.or_else(|| begun().map(|_| Similarity::Prefix))?;
        Some(((token.position, token.position, token.range.clone()), likeness))
    });
    exact
        .chain(like)
        .map(|((from, to, range), likeness)| {
            let is_as_typed = text[range.clone()].to_lowercase() == wanted.typed;
            let points = points(likeness) + if is_as_typed { DIACRITICS_BONUS } else { 0 };
            Hit { from, to, range, points, similarity: likeness }
        })
        .collect()
}

const fn points(likeness: Similarity) -> u32 {
    match likeness {
        Similarity::Exact => 12,
        Similarity::Prefix => 8,
        Similarity::EditDistance(0 | 1) => 6,
        Similarity::EditDistance(_) => 4,
        Similarity::Substring => 2,
    }
}

/// Returns the occurrences of an atom: the indices of the first and last word, and the range in the
/// text.
fn occurrences(atom: &Atom, found: &Tokens) -> Vec<(usize, usize, Range<usize>)> {
    let single = |is_it: &dyn Fn(&str) -> bool| {
        let tokens = found.words.iter().chain(&found.additional).filter(|token| is_it(&token.term));
        tokens.map(|token| (token.position, token.position, token.range.clone())).collect()
    };
    match atom {
        Atom::Word(word) => single(&|term| term == word),
        Atom::Prefix(beginning) => single(&|term| term.starts_with(beginning)),
        Atom::Phrase { terms, is_open } => {
            let Some((last, first)) = terms.split_last() else { return Vec::new() };
            let place = |start: usize| {
                let (begin, end) = (&found.words[start], found.words.get(start + first.len())?);
                let is_end = end.term == *last || *is_open && end.term.starts_with(last.as_str());
                is_end.then_some((begin.position, end.position, begin.range.start..end.range.end))
            };
            sequence_starts(first, &found.words).into_iter().filter_map(place).collect()
        }
    }
}

/// Returns the indices in `words` at which the sequence `terms` starts. The time is linear in both
/// lengths (Knuth, Morris and Pratt, "Fast Pattern Matching in Strings"), because a text and a
/// phrase may repeat one word hundreds of times.
fn sequence_starts(terms: &[String], words: &[Token]) -> Vec<usize> {
    if terms.is_empty() {
        return (0..words.len()).collect();
    }
    // For each position in `terms`: length of the longest proper prefix of `terms` that also ends
    // at this position.
    let mut borders = vec![0; terms.len()];
    let mut border = 0;
    for (at, term) in terms.iter().enumerate().skip(1) {
        while border > 0 && terms[border] != *term {
            border = borders[border - 1];
        }
        border += usize::from(terms[border] == *term);
        borders[at] = border;
    }
    let (mut starts, mut matched) = (Vec::new(), 0);
    for (at, word) in words.iter().enumerate() {
        while matched > 0 && terms[matched] != word.term {
            matched = borders[matched - 1];
        }
        matched += usize::from(terms[matched] == word.term);
        if matched == terms.len() {
            starts.push(at + 1 - matched);
            matched = borders[matched - 1];
        }
    }
    starts
}

fn merge_ranges(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut().filter(|last| range.start < last.end) {
            Some(last) => last.end = last.end.max(range.end),
            None => merged.push(range),
        }
    }
    merged
}

/// Converts byte ranges, which must be sorted and not overlap, to offsets and lengths in UTF-16
/// code units.
#[must_use]
pub fn utf16(text: &str, ranges: &[Range<usize>]) -> Vec<[usize; 2]> {
    let length = |range: Range<usize>| text.get(range).map_or(0, |part| part.encode_utf16().count());
    let (mut bytes, mut units) = (0, 0);
    ranges
        .iter()
        .map(|range| {
            let start = units + length(bytes..range.start);
            let long = length(range.clone());
            (bytes, units) = (range.end, start + long);
            [start, long]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Deadline, WordCounts};

    const NOW: i64 = 1_790_000_000_000;

    fn vocabulary(texts: &[&str]) -> WordCounts {
        texts.iter().flat_map(|text| tokens(text).words).map(|token| token.term).collect()
    }

    /// Returns the texts that match, best first, with their highlights.
    fn ranked<'a>(query: &str, texts: &[&'a str]) -> Vec<(&'a str, Vec<&'a str>)> {
        let query = Query::parse(query, NOW).unwrap();
        let reading = Interpretation::fuzzy(&query, &vocabulary(texts), Deadline::default());
        let matcher = Matcher::new(&query, &reading);
        let mut found: Vec<(u32, &str, Vec<&str>)> = texts
            .iter()
            .filter_map(|text| {
                let found = matcher.matches(text)?;
                Some((found.score, *text, found.highlights.into_iter().map(|range| &text[range]).collect()))
            })
            .collect();
        found.sort_by_key(|(score, _, _)| u32::MAX - score);
        found.into_iter().map(|(_, text, parts)| (text, parts)).collect()
    }

    fn order<'a>(query: &str, texts: &[&'a str]) -> Vec<&'a str> {
        ranked(query, texts).into_iter().map(|(text, _)| text).collect()
    }

    #[test]
    fn exact_words_rank_above_similar_ones() {
        let texts = ["a rearrangement", "arrangement2 arrangementsandmore", "arangement", "the Arrangement", "nothing"];
        assert_eq!(
            order("arrangement", &texts),
            ["the Arrangement", "arrangement2 arrangementsandmore", "arangement", "a rearrangement"]
        );
    }

    #[test]
    fn adjacent_words_and_typed_diacritics_rank_first() {
        assert_eq!(order("blue whale", &["a whale, blue", "the blue whale"]), ["the blue whale", "a whale, blue"]);
        assert_eq!(order("Trần", &["tran", "Trần"]), ["Trần", "tran"]);
        assert_eq!(order("tran", &["Trần", "tran"]), ["tran", "Trần"]);
    }

    #[test]
    fn matches_phrases_and_excludes_unwanted_words() {
        let texts = ["see NAT-1234", "nat 99 1234", "see nat/1234 again"];
        assert_eq!(
            ranked("NAT-1234", &texts),
            [("see NAT-1234", vec!["NAT-1234"]), ("see nat/1234 again", vec!["nat/1234"])]
        );
        assert_eq!(order("\"nat 1234\" -again", &texts), ["see NAT-1234"]);
        assert_eq!(order("-\"nat 1234\"", &texts), ["nat 99 1234"]);
        assert_eq!(order("user", &["uses", "getUserName"]), ["getUserName", "uses"]);
        assert_eq!(order("getusername", &["getUserName"]), ["getUserName"]);
    }

    #[test]
    fn reports_the_word_behind_a_typo() {
        let query = Query::parse("dashbord late", NOW).unwrap();
        let texts = ["The Dashboard is late", "a dashbord, late"];
        let reading = Interpretation::fuzzy(&query, &vocabulary(&texts), Deadline::default());
        let matcher = Matcher::new(&query, &reading);
        let instead = |text: &str| matcher.matches(text).unwrap().corrections;
        assert_eq!(instead(texts[0]), [Some("dashboard".to_owned()), None]);
        assert_eq!(instead(texts[1]), [None, None]);
    }

    #[test]
    fn highlights_are_counted_in_utf16() {
        let text = "🐋 ß whale 🐋whale";
        let query = Query::parse("whale 🐋", NOW).unwrap();
        let found = Matcher::new(&query, &Interpretation::default()).matches(text).unwrap();
        assert_eq!(utf16(text, &found.highlights), [[5, 5], [13, 5]]);
    }

    proptest! {
        /// A phrase is found wherever its words occur in sequence, including overlapping
        /// occurrences.
        #[test]
        fn finds_phrases_at_every_occurrence(text in "([ab] ){0,30}", terms in proptest::collection::vec("[ab]", 1..5)) {
            let words = tokens(&text).words;
            let is_there = |run: &[Token]| run.iter().zip(&terms).all(|(token, term)| token.term == *term);
            let expected: Vec<usize> = words.windows(terms.len()).enumerate().filter(|(_, run)| is_there(run)).map(|(at, _)| at).collect();
            prop_assert_eq!(sequence_starts(&terms, &words), expected);
        }

        /// For any query and text, the highlights lie within the text, are sorted, and have the
        /// offsets that JavaScript uses.
        #[test]
        fn highlights_lie_within_the_text(text in "([a-c今天đ🐋\u{301}]{1,4} ?){0,8}", asked in "([a-c今天đ\"*-]{1,3} ?){1,4}") {
            let query = Query::parse(&asked, NOW).unwrap();
            let reading = Interpretation::fuzzy(&query, &vocabulary(&[&text]), Deadline::default());
            if let Some(found) = Matcher::new(&query, &reading).matches(&text) {
                let units: Vec<u16> = text.encode_utf16().collect();
                let mut end = 0;
                for (range, [start, length]) in found.highlights.iter().zip(utf16(&text, &found.highlights)) {
                    prop_assert!(start >= end && length > 0);
                    end = start + length;
                    prop_assert_eq!(&String::from_utf16(&units[start..end]).unwrap(), &text[range.clone()]);
                }
            }
        }

        /// A query that consists of a word of a text finds that text.
        #[test]
        fn every_word_finds_its_text(text in "\\PC{1,40}") {
            for token in tokens(&text).words {
                let any = vec![Atom::Word(token.term.clone())];
                let wanted = RequiredTerm { any, word: Some(token.term), typed: String::new(), is_open: false };
                let query = Query { required: vec![wanted], ..Query::default() };
                let found = Matcher::new(&query, &Interpretation::default()).matches(&text).unwrap();
                let holds = |range: &Range<usize>| range.start <= token.range.start && range.end >= token.range.end;
                prop_assert!(found.highlights.iter().any(holds));
            }
        }
    }
}
