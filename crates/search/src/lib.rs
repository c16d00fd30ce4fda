//! What is needed to search messages: how texts become words, what a query means, which words may be meant by those that were
//! typed, and how well a text answers.
//!
//! One tokenizer ([`tokens`]) makes the words of texts and of queries. The [`Dictionary`] knows all words that are written anywhere: by it a
//! [`Reading`] puts beside a word those that begin so, those that are a typo away, and those that have it in them. A [`Matcher`] then scores texts and says
//! where in them the words are.
//!
//! A [`SqliteIndex`] says which messages have which words; it holds no texts.
//!
//! On PostgreSQL the index is a table; [`postgres`] writes words and questions as that reads them.
//!
//! Nothing here knows who may read what, nor where messages lie.

mod deadline;
mod dictionary;
mod fold;
mod index;
mod matching;
pub mod postgres;
mod query;
mod reading;
mod sqlite;
mod token;

pub use deadline::Deadline;
pub use dictionary::{Dictionary, Term};
pub use fold::{folded, folded_line};
pub use index::{Batch, Candidate, Change, Document, Fill, Plan, TERMS};
pub use matching::{Match, Matcher, utf16};
pub use query::{Atom, Days, Has, Is, MAX_QUERY_CHARS, MAX_WORDS, Query, TooManyWords, Wanted};
pub use reading::{Likeness, Reading};
pub use sqlite::{Error, SqliteIndex};
pub use token::{MAX_TOKENS, Token, Tokens, is_unspaced, tokens};
