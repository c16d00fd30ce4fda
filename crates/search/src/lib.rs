//! Search of messages: tokenization, query parsing, spelling tolerance and matching.
//!
//! A single tokenizer ([`tokens`]) splits texts and queries into words. The [`Dictionary`] contains
//! all indexed words: an [`Interpretation`] takes from it words with the typed prefix, words that
//! differ by a typo, and words that contain the typed word. A [`Matcher`] then scores texts and
//! locates the words in them.
//!
//! A [`SqliteIndex`] maps words to messages and contains no texts.
//!
//! On PostgreSQL the index is a table; [`postgres`] encodes words and queries for it.
//!
//! Read access and the storage of messages are the responsibility of other crates.

mod deadline;
mod dictionary;
mod fold;
mod index;
mod interpretation;
mod matching;
pub mod postgres;
mod query;
mod sqlite;
mod token;

pub use deadline::Deadline;
pub use dictionary::{Dictionary, Term};
pub use fold::{fold_name, fold_text};
pub use index::{Batch, Candidate, Change, Document, FillState, MAX_TERMS, Plan};
pub use interpretation::{Interpretation, Similarity};
pub use matching::{Match, Matcher, utf16};
pub use query::{Atom, Days, Has, Is, MAX_QUERY_CHARS, MAX_WORDS, Query, RequiredTerm, TooManyWords};
pub use sqlite::{Error, SqliteIndex};
pub use token::{MAX_TOKENS, Token, Tokens, is_unspaced, tokens};
