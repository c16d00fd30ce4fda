//! Word filter: finds unwanted words regardless of case and accents, as whole words only.

use std::collections::HashMap;

use appcore::{
    AppError,
    view::{WordAction, WordFilter},
};
use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

/// Maximum number of words per channel.
const MAX_WORDS: usize = 200;
const MAX_WORD_CHARS: usize = 60;
const MASK: char = '*';

/// Outcome of the filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterOutcome {
    Clean,
    /// The text contains this word, as listed.
    Refused(String),
    /// The text with the words masked.
    Masked(String),
}

/// Compiled word list.
#[derive(Clone, Debug)]
pub struct CompiledWordFilter {
    action: WordAction,
    words: Vec<FoldedWord>,
    /// Trie of the folded words. The first node is the root.
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    next: HashMap<char, usize>,
    /// Index of the word whose last letter is this node.
    word: Option<usize>,
}

#[derive(Clone, Debug)]
struct FoldedWord {
    word: String,
    folded: Vec<char>,
    /// True if the word's script has no spaces between words, so that it matches anywhere in the
    /// text.
    is_unspaced: bool,
}

impl CompiledWordFilter {
    /// Parses a stored filter; `None` if it is empty or invalid.
    pub fn from_stored(stored: &str) -> Option<Self> {
        serde_json::from_str(stored).ok().and_then(Self::new)
    }

    fn new(filter: WordFilter) -> Option<Self> {
        let words: Vec<FoldedWord> = filter.words.into_iter().filter_map(FoldedWord::new).collect();
        let mut nodes = vec![Node::default()];
        for (index, word) in words.iter().enumerate() {
            let mut node = 0;
            for letter in &word.folded {
                let new = nodes.len();
                let next = *nodes[node].next.entry(*letter).or_insert(new);
                if next == new {
                    nodes.push(Node::default());
                }
                node = next;
            }
            nodes[node].word.get_or_insert(index);
        }
        (!words.is_empty()).then_some(Self { action: filter.action, words, nodes })
    }

    #[must_use]
    pub fn check(&self, text: &str) -> FilterOutcome {
        let folded = fold(text);
        let mut masked: Option<Vec<char>> = None;
        let mut at = 0;
        while at < folded.len() {
            let Some(found) = self.find(&folded, at) else {
                at += 1;
                continue;
            };
            if self.action == WordAction::Refuse {
                return FilterOutcome::Refused(found.word.clone());
            }
            let end = at + found.folded.len();
            let chars = masked.get_or_insert_with(|| text.chars().collect());
            let until = folded.get(end).map_or(chars.len(), |next| next.1);
            for letter in &mut chars[folded[at].1..until] {
                if !letter.is_whitespace() {
                    *letter = MASK;
                }
            }
            at = end;
        }
        masked.map_or(FilterOutcome::Clean, |chars| FilterOutcome::Masked(chars.into_iter().collect()))
    }

    /// Longest word that starts at `at`. Takes time proportional to its length, independently of
    /// the number of words.
    fn find(&self, text: &[(char, usize)], at: usize) -> Option<&FoldedWord> {
        let follows_letter = at.checked_sub(1).is_some_and(|before| text[before].0.is_alphanumeric());
        let (mut node, mut found) = (&self.nodes[0], None);
        for (end, (letter, _)) in text.iter().enumerate().skip(at) {
            let Some(next) = node.next.get(letter) else { break };
            node = &self.nodes[*next];
            let Some(word) = node.word.map(|index| &self.words[index]) else { continue };
            let is_in_word = follows_letter || text.get(end + 1).is_some_and(|next| next.0.is_alphanumeric());
            if word.is_unspaced || !is_in_word {
                found = Some(word);
            }
        }
        found
    }
}

impl FoldedWord {
    fn new(word: String) -> Option<Self> {
        let folded: Vec<char> = fold(word.trim()).into_iter().map(|(letter, _)| letter).collect();
        let is_unspaced = folded.iter().any(|letter| is_unspaced(*letter));
        (!folded.is_empty()).then_some(Self { word, folded, is_unspaced })
    }
}

/// Validates a word list for storage: trims the words and removes duplicates.
pub fn validate(filter: WordFilter) -> Result<WordFilter, AppError> {
    let mut seen = std::collections::HashSet::new();
    let mut words = Vec::new();
    for word in filter.words {
        let word = word.split_whitespace().collect::<Vec<_>>().join(" ");
        if word.is_empty() {
            continue;
        }
        if word.chars().count() > MAX_WORD_CHARS {
            return Err(AppError::field(
                "words",
                "too_long",
                format!("Use {MAX_WORD_CHARS} characters or fewer in a word."),
            ));
        }
        let folded: String = fold(&word).into_iter().map(|(letter, _)| letter).collect();
        if !folded.chars().any(char::is_alphanumeric) || word.chars().any(char::is_control) {
            return Err(AppError::field("words", "invalid", "A word needs letters or digits."));
        }
        if seen.insert(folded) {
            words.push(word);
        }
    }
    if words.len() > MAX_WORDS {
        return Err(AppError::field("words", "too_long", format!("List {MAX_WORDS} words or fewer.")));
    }
    Ok(WordFilter { words, ..filter })
}

/// Folds case and accents, removes invisible characters and collapses spaces. Each resulting letter
/// comes with its index in the original text.
fn fold(text: &str) -> Vec<(char, usize)> {
    let mut folded: Vec<(char, usize)> = Vec::with_capacity(text.len());
    for (place, letter) in text.chars().enumerate() {
        if letter.is_ascii_alphanumeric() {
            folded.push((letter.to_ascii_lowercase(), place));
        } else if letter.is_whitespace() {
            if folded.last().is_some_and(|(last, _)| *last != ' ') {
                folded.push((' ', place));
            }
        } else if letter.is_ascii() {
            folded.push((letter, place));
        } else if !is_invisible(letter) {
            for part in std::iter::once(letter).nfkd().flat_map(char::to_lowercase) {
                match part {
                    'đ' | 'ð' => folded.push(('d', place)),
                    'ß' => folded.extend([('s', place), ('s', place)]),
                    'ø' => folded.push(('o', place)),
                    'ł' => folded.push(('l', place)),
                    'ı' => folded.push(('i', place)),
                    'æ' => folded.extend([('a', place), ('e', place)]),
                    'œ' => folded.extend([('o', place), ('e', place)]),
                    _ if is_accent(part) => {}
                    _ => folded.push((part, place)),
                }
            }
        }
    }
    folded
}

/// True for combining marks that are accents. False for vowel signs, which are letters of their
/// script.
fn is_accent(mark: char) -> bool {
    is_combining_mark(mark)
        && matches!(u32::from(mark),
            0x0300..=0x036F | 0x0483..=0x0489 | 0x0591..=0x05C7 | 0x0610..=0x061A | 0x064B..=0x065F | 0x0670
            | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF | 0x20D0..=0x20FF | 0xFE00..=0xFE2F)
}

fn is_invisible(letter: char) -> bool {
    matches!(u32::from(letter), 0x00AD | 0x034F | 0x061C | 0x180E | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x206F | 0xFE00..=0xFE0F | 0xFEFF)
}

fn is_unspaced(letter: char) -> bool {
    matches!(u32::from(letter),
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x3040..=0x30FF | 0x31F0..=0x31FF | 0x3400..=0x4DBF
        | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(action: WordAction, words: &[&str]) -> CompiledWordFilter {
        let words = words.iter().map(|&word| word.to_owned()).collect();
        CompiledWordFilter::new(WordFilter { action, words }).unwrap()
    }

    fn masked(text: &str, words: &[&str]) -> String {
        match filter(WordAction::Mask, words).check(text) {
            FilterOutcome::Masked(text) => text,
            FilterOutcome::Clean => text.to_owned(),
            FilterOutcome::Refused(word) => panic!("{word} was refused"),
        }
    }

    #[test]
    fn ignores_case_and_accents() {
        for text in ["darn", "DARN!", "so Därn it", "d\u{200b}arn", "ｄａｒｎ", "da\u{300}rn"] {
            let verdict = filter(WordAction::Refuse, &["Darn"]).check(text);
            assert_eq!(verdict, FilterOutcome::Refused("Darn".to_owned()), "{text}");
        }
        for text in ["do dem", "ĐỒ  ĐỂM", "Đồ\nđểm"] {
            assert_eq!(
                filter(WordAction::Refuse, &["đồ đểm"]).check(text),
                FilterOutcome::Refused("đồ đểm".to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn masks_the_longest_of_words_with_a_common_prefix() {
        let words: Vec<String> = (0..MAX_WORDS).map(|n| format!("{}{n}", "坏".repeat(50))).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).chain(["坏坏", "坏"]).collect();
        assert_eq!(masked(&"坏".repeat(9_999), &words), "*".repeat(9_999));
    }

    #[test]
    fn ignores_parts_of_other_words() {
        for text in ["darning", "undarned", "dar n", "darn2", ""] {
            assert_eq!(filter(WordAction::Refuse, &["darn"]).check(text), FilterOutcome::Clean, "{text}");
        }
        // Words of scripts without spaces match inside a longer text.
        assert_eq!(masked("这是坏话吗", &["坏话"]), "这是**吗");
    }

    #[test]
    fn masking_keeps_length_and_surroundings() {
        assert_eq!(masked("Well, Darn, darn it.", &["darn"]), "Well, ****, **** it.");
        assert_eq!(masked("so da\u{301}rn good", &["darn"]), "so **** good".replace("****", "*****"));
        assert_eq!(masked("bad word, bad words", &["bad", "bad word"]), "*** ****, *** words");
        assert_eq!(masked("Straße", &["strasse"]), "******");
    }

    #[test]
    fn word_lists_are_deduplicated_and_limited() {
        let list = |words: Vec<String>| validate(WordFilter { action: WordAction::Mask, words });
        let words = ["  Darn ", "därn", "", "two   words"].map(str::to_owned).to_vec();
        assert_eq!(list(words).unwrap().words, ["Darn", "two words"]);
        assert!(list((0..=MAX_WORDS).map(|n| format!("w{n}")).collect()).is_err());
        assert!(list(vec!["x".repeat(MAX_WORD_CHARS + 1)]).is_err());
        assert!(list(vec!["!!".to_owned()]).is_err());
    }

    proptest! {
        #[test]
        fn masked_text_has_no_further_match(text in "[a-c ÀàB\u{301}]{0,40}", word in "[a-c]{1,3}") {
            let words = [word.as_str()];
            let once = masked(&text, &words);
            prop_assert_eq!(once.chars().count(), text.chars().count());
            prop_assert_eq!(masked(&once, &words), once);
        }
    }
}
