//! Splits a text into chunks that end where a paragraph, line, sentence or word ends, and overlap.

use std::{cmp::Reverse, collections::BTreeMap, ops::Range};

use unicode_segmentation::UnicodeSegmentation as _;

/// Length of a chunk in estimated tokens. Within this range it ends at the first end of the largest
/// unit (paragraph, line, sentence or word).
pub(super) const TOKENS: Range<usize> = 400..800;
/// Maximum overlap of consecutive chunks in estimated tokens, so that no passage is lost at a
/// boundary.
const OVERLAP: usize = 60;

/// Kind of a boundary, named after the unit that ends there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    Word,
    Sentence,
    Line,
    Paragraph,
}

/// Returns the chunks of a text, trimmed, with their byte offsets. The same text always yields the
/// same chunks.
pub(super) fn chunks(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let rest = text[next..].trim_start();
        if rest.is_empty() {
            return None;
        }
        let start = text.len() - rest.len();
        let limit = prefix_len(rest.chars(), TOKENS.end);
        if limit == rest.len() {
            next = text.len();
            return Some((start, rest.trim_end()));
        }
        let chunk = rest[..chunk_end(&rest[..limit])].trim_end();
        next = start + overlap_start(chunk);
        Some((start, chunk))
    })
}

/// End of a chunk within a window of the maximum length.
fn chunk_end(window: &str) -> usize {
    let least = prefix_len(window.chars(), TOKENS.start);
    first_of_largest(&boundaries(window), least..window.len()).unwrap_or(window.len())
}

/// Start of the overlap with the next chunk; the end of the chunk if there is no boundary near it.
fn overlap_start(chunk: &str) -> usize {
    match chunk.len() - prefix_len(chunk.chars().rev(), OVERLAP) {
        0 => chunk.len(),
        earliest => first_of_largest(&boundaries(chunk), earliest..chunk.len()).unwrap_or(chunk.len()),
    }
}

/// First boundary of the largest unit in the range.
fn first_of_largest(boundaries: &BTreeMap<usize, Unit>, range: Range<usize>) -> Option<usize> {
    let first = boundaries.range(range).max_by_key(|(place, unit)| (**unit, Reverse(**place)));
    first.map(|(place, _)| *place)
}

/// Offsets at which units end, except at the start and the end of the text. Words and sentences are those of Unicode's Annex 29.
fn boundaries(text: &str) -> BTreeMap<usize, Unit> {
    let mut found: BTreeMap<usize, Unit> = text.split_word_bound_indices().map(|(at, _)| (at, Unit::Word)).collect();
    found.extend(text.split_sentence_bound_indices().map(|(at, _)| (at, Unit::Sentence)));
    for (at, _) in text.match_indices('\n') {
        let is_blank_line = text[..at].trim_end_matches([' ', '\t', '\r']).ends_with('\n');
        found.insert(at + 1, if is_blank_line { Unit::Paragraph } else { Unit::Line });
    }
    found.remove(&0);
    found.remove(&text.len());
    found
}

/// Length in bytes of the longest prefix estimated at no more than `tokens`, consistent with
/// [`ai::estimate_tokens`].
fn prefix_len(chars: impl Iterator<Item = char>, tokens: usize) -> usize {
    let (mut ascii, mut other, mut length) = (0_usize, 0_usize, 0);
    for char in chars {
        if char.is_ascii() {
            ascii += 1;
        } else {
            other += 1;
        }
        if ascii.div_ceil(4) + other > tokens {
            break;
        }
        length += char.len_utf8();
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        chunks(text).map(|(_, chunk)| chunk).collect()
    }

    #[test]
    fn short_text_is_one_trimmed_chunk() {
        assert_eq!(chunks(" \n one\n\ntwo \n").collect::<Vec<_>>(), [(3, "one\n\ntwo")]);
        assert!(chunks(" \n\t").next().is_none());
    }

    #[test]
    fn chunks_end_at_the_largest_unit() {
        let sentence = "The quick brown fox jumps over the lazy dog. ";
        let paragraph = format!("{}\n\n", sentence.repeat(42).trim());
        let found = paragraph.repeat(3);
        assert!(texts(&found).iter().all(|chunk| chunk.ends_with("dog.")), "paragraphs of 473 tokens");
        assert_eq!(texts(&found).len(), 3);
        let long = sentence.repeat(100);
        assert!(texts(&long).iter().all(|chunk| chunk.starts_with("The") && chunk.ends_with("dog.")), "sentences");
        let words = "fox ".repeat(2_000);
        assert!(texts(&words).iter().all(|chunk| chunk.starts_with("fox") && chunk.ends_with("fox")), "words");
    }

    #[test]
    fn chunk_overlaps_the_previous_one() {
        let lines: String = (0..400).map(|number| format!("line number {number}\n")).collect();
        let chunks = texts(&lines);
        for pair in chunks.windows(2) {
            let repeated: Vec<_> = pair[0].lines().filter(|line| pair[1].lines().any(|other| other == *line)).collect();
            assert!(!repeated.is_empty() && ai::estimate_tokens(&repeated.join("\n")) <= OVERLAP, "{repeated:?}");
        }
    }
}
