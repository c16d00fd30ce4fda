//! Search of messages: tokenization, query parsing, spelling tolerance and matching.
//!
//! A single tokenizer ([`tokens`]) splits texts and queries into words. An [`Interpretation`] takes
//! from a [`Vocabulary`] words with the typed prefix, words that differ by a typo, and words that
//! contain the typed word. A [`Matcher`] then scores texts and locates the words in them.
//!
//! The index, read access and the storage of messages are the responsibility of other crates.

mod dates;
mod deadline;
mod fold;
mod interpretation;
mod matching;
mod query;
mod token;
mod vocabulary;

pub use dates::Days;
pub use deadline::Deadline;
pub use fold::{fold_name, fold_text};
pub use interpretation::{Interpretation, Similarity};
pub use matching::{Match, Matcher, utf16};
pub use query::{Atom, Has, Is, MAX_QUERY_CHARS, MAX_WORDS, Query, RequiredTerm, TooManyWords};
pub use token::{MAX_TOKENS, Token, Tokens, is_unspaced, tokens};
pub use vocabulary::{SpellingMatcher, Vocabulary, WordCounts, is_searchable_part, is_searchable_word, most_frequent};
