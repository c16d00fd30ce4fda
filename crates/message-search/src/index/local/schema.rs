//! Fields of the index.

use ::search::{Has, Token as SearchToken};
use appcore::Timestamp;
use tantivy::{
    Index, IndexSettings, TantivyDocument, Term,
    index::{IndexSortByField, Order},
    schema::{Field, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions},
    tokenizer::{PreTokenizedString, Token},
};
use uuid::Uuid;

use super::directory::IndexDirectory;
use crate::index::Document;

pub(super) const ID_HIGH: &str = "id_high";
pub(super) const ID_LOW: &str = "id_low";
pub(super) const CONVERSATION: &str = "conversation";
pub(super) const AUTHOR: &str = "author";
pub(super) const CREATED_AT: &str = "created_at";

#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    /// Words of the message, and [flags](flag). Not stored, because texts are read from the
    /// database.
    pub text: Field,
    /// The two halves of the message's id. The first one starts with the time.
    id_high: Field,
    id_low: Field,
    /// Random halves of ids.
    pub conversation: Field,
    pub author: Field,
    created_at: Field,
}

/// Opens or creates an index whose segments are sorted by id, newest first.
pub(super) fn open(directory: IndexDirectory) -> tantivy::Result<(Index, Fields)> {
    let mut schema = Schema::builder();
    let words = TextFieldIndexing::default()
        .set_tokenizer("raw")
        .set_fieldnorms(false)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let fast = NumericOptions::default().set_fast();
    let indexed = fast.clone().set_indexed();
    let fields = Fields {
        text: schema.add_text_field("text", TextOptions::default().set_indexing_options(words)),
        id_high: schema.add_u64_field(ID_HIGH, fast.clone()),
        id_low: schema.add_u64_field(ID_LOW, fast.clone()),
        conversation: schema.add_u64_field(CONVERSATION, indexed.clone()),
        author: schema.add_u64_field(AUTHOR, indexed),
        created_at: schema.add_i64_field(CREATED_AT, fast),
    };
    let sort_by_field = Some(IndexSortByField { field: ID_HIGH.to_owned(), order: Order::Desc });
    let settings = IndexSettings { sort_by_field, ..IndexSettings::default() };
    let index = Index::builder().schema(schema.build()).settings(settings).open_or_create(directory)?;
    Ok((index, fields))
}

/// Random half of an id, by which conversations and authors are indexed.
pub(super) fn low_half(id: Uuid) -> u64 {
    id.as_u64_pair().1
}

/// Document number of a message with this first half of its id.
pub(super) fn number(id_high: u64) -> i64 {
    i64::try_from(id_high >> 1).unwrap_or(i64::MAX)
}

/// Term that stands for a kind of content. No word contains its first character.
pub(super) const fn flag(has: Has) -> &'static str {
    match has {
        Has::File => "=file",
        Has::Image => "=image",
        Has::Link => "=link",
        Has::Voice => "=voice",
    }
}

impl Fields {
    pub fn word(self, word: &str) -> Term {
        Term::from_field_text(self.text, word)
    }

    pub fn document(self, document: Document) -> TantivyDocument {
        let (high, low) = document.message.as_u64_pair();
        let Timestamp(created_at) = document.created_at;
        let mut row = TantivyDocument::default();
        row.add_u64(self.id_high, high);
        row.add_u64(self.id_low, low);
        row.add_u64(self.conversation, low_half(document.conversation));
        row.add_u64(self.author, document.author.map_or(0, low_half));
        row.add_i64(self.created_at, created_at);
        let token = |SearchToken { term, range, position }: SearchToken| Token {
            text: term,
            offset_from: range.start,
            offset_to: range.end,
            position,
            position_length: 1,
        };
        let flags =
            document.has.into_iter().map(|has| Token { text: flag(has).to_owned(), position: 0, ..Token::default() });
        let tokens = document.tokens;
        let words = tokens.words.into_iter().chain(tokens.additional).map(token);
        let mut tokens: Vec<Token> = flags.chain(words).collect();
        // The positions of a term must not decrease.
        tokens.sort_by_key(|token| token.position);
        row.add_pre_tokenized_text(self.text, PreTokenizedString { text: String::new(), tokens });
        row
    }
}
