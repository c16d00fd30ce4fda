//! Generated corpus of chat messages: English, Vietnamese, German compounds, identifiers, ids,
//! addresses and typos. A message depends only on its number, so it is the same on every machine.
//!
//! Words are drawn independently of each other by Zipf's law, so phrases are rarer than in real
//! text.

use std::collections::HashMap;

/// Number of conversations and users.
pub const CONVERSATIONS: usize = 2_000;
pub const PEOPLE: usize = 20;
/// Size of the English vocabulary.
const ENGLISH: u64 = 60_000;
/// Number of different parts from which compounds are formed.
const PARTS: u64 = 3_000;
/// Number of words per typo.
const TYPOS: u64 = 330;
const VOWELS: [&str; 6] = ["a", "e", "i", "o", "u", "ea"];
const CONSONANTS: [&str; 16] = ["b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "v", "st", "tr"];
const ONSETS: [&str; 18] =
    ["b", "c", "ch", "d", "đ", "g", "h", "kh", "l", "m", "n", "ng", "nh", "ph", "s", "t", "th", "tr"];
const RHYMES: [&str; 20] = [
    "a", "à", "ạnh", "ân", "ấn", "ầu", "ơi", "ời", "ước", "ương", "ường", "iên", "iền", "ông", "ồng", "uyễn", "ai",
    "ào", "eo", "ết",
];

/// Random number generator SplitMix64.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub const fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }

    pub fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap_or_default()]
    }

    /// Draws a rank from 0 to below `end` with a distribution like Zipf's: all ranks of one bit
    /// length together are as frequent as those of any other bit length.
    pub const fn rank(&mut self, end: u64) -> u64 {
        loop {
            let lengths = (u64::BITS - end.leading_zeros()) as u64;
            let first = 1 << self.below(lengths);
            let rank = first + self.below(first) - 1;
            if rank < end {
                return rank;
            }
        }
    }
}

/// Generated message.
pub struct Said {
    pub conversation: usize,
    pub author: usize,
    pub text: String,
}

/// Generator of the messages in order, with the document frequency of each word.
pub struct Corpus {
    random: Random,
    pub counts: HashMap<String, u32>,
}

impl Corpus {
    pub fn new() -> Self {
        Self { random: Random::new(36), counts: HashMap::new() }
    }

    pub fn say(&mut self) -> Said {
        let random = &mut self.random;
        let conversation = usize::try_from(random.rank(CONVERSATIONS as u64)).unwrap_or_default();
        let author = usize::try_from(random.rank(PEOPLE as u64)).unwrap_or_default();
        let language = random.below(20);
        let length = 4 + random.below(19);
        let mut words = Vec::new();
        for _ in 0..length {
            let word = match language {
                0..=10 => english(random.rank(ENGLISH)),
                11..=14 => vietnamese(random),
                15..=17 if random.below(4) == 0 => english(random.rank(PARTS)) + &english(random.rank(PARTS)),
                15..=17 => english(random.rank(PARTS)),
                _ => technical(random),
            };
            words.push(if random.below(TYPOS) == 0 { mistyped(&word, random) } else { word });
        }
        for word in words.iter().collect::<std::collections::BTreeSet<_>>() {
            *self.counts.entry(word.clone()).or_default() += 1;
        }
        Said { conversation, author, text: words.join(" ") }
    }
}

/// Returns the word with this frequency rank; frequent words are shorter. Words differ from each
/// other as much as real words do; otherwise a typo would match too many of them.
fn english(rank: u64) -> String {
    let syllables = match rank {
        0..30 => 1,
        30..1_500 => 2,
        1_500..20_000 => 3,
        _ => 4,
    };
    let mut rest = Random::new(rank).draw();
    let mut word = String::new();
    for _ in 0..syllables {
        word.push_str(CONSONANTS[usize::try_from(rest % 16).unwrap_or_default()]);
        word.push_str(VOWELS[usize::try_from(rest / 16 % 6).unwrap_or_default()]);
        rest /= 96;
    }
    word + if rank.is_multiple_of(3) { "n" } else { "" }
}

fn vietnamese(random: &mut Random) -> String {
    format!("{}{}", random.one(&ONSETS), random.one(&RHYMES))
}

fn technical(random: &mut Random) -> String {
    let capital = |word: String| word[..1].to_uppercase() + &word[1..];
    match random.below(4) {
        0 => format!("NAT-{}", 1 + random.rank(20_000)),
        1 => english(random.rank(500)) + &capital(english(random.rank(500))),
        2 => format!("src/{}_{}.rs", english(random.rank(300)), english(random.rank(300))),
        _ => format!("https://example.org/{}/{}", english(random.rank(300)), random.below(10_000)),
    }
}

/// Returns the word with one letter omitted, doubled, changed or swapped. Of the words with eight
/// letters or more, one in four has two such typos.
pub fn mistyped(word: &str, random: &mut Random) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    let times = if letters.len() >= 8 && random.below(4) == 0 { 2 } else { 1 };
    for _ in 0..times {
        let at = usize::try_from(random.below(letters.len() as u64)).unwrap_or_default();
        match random.below(4) {
            0 if letters.len() > 3 => {
                letters.remove(at);
            }
            1 => letters.insert(at, letters[at]),
            2 if at > 0 => letters.swap(at - 1, at),
            _ => letters[at] = random.one(&CONSONANTS).chars().next().unwrap_or('x'),
        }
    }
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generates_a_deterministic_corpus_with_common_words() {
        let made = || {
            let mut corpus = Corpus::new();
            let said: Vec<String> = (0..2_000).map(|_| corpus.say().text).collect();
            (said, corpus.counts)
        };
        let ((first, counts), (second, _)) = (made(), made());
        assert_eq!(first, second);
        assert!(
            counts.values().any(|count| *count > 200) && counts.values().filter(|count| **count == 1).count() > 500
        );
        let words: usize = first.iter().map(|text| text.split(' ').count()).sum();
        assert!((12 * 2_000..14 * 2_000).contains(&words), "{words}");
    }
}
