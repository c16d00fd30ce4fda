//! Search index of messages on PostgreSQL, which `m0010` removes, and the queue of messages to index
//! again.

use crate::{prelude::*, schema::uuid};

/// Statements that create the index. It contains no texts. It can be emptied at any time and is
/// then filled again.
pub const POSTGRES_UP: &[&str] = &[
    // `doc` increases with the time of the message. `words` also contains the conversation and the
    // author.
    "CREATE TABLE search_documents (doc bigint PRIMARY KEY, message uuid NOT NULL UNIQUE, conv bigint NOT NULL, author bigint, \
       created_at bigint NOT NULL, words tsvector NOT NULL)",
    // Created without a pending list, because flushing that would take the next writer half a
    // second.
    "CREATE INDEX search_documents_words ON search_documents USING gin (words) WITH (fastupdate = off)",
    "CREATE INDEX search_documents_conv ON search_documents (conv, doc)",
    // For each conversation: the sequence number up to which it is indexed, and the number of its
    // messages in the index.
    "CREATE TABLE search_conversations (conv bigserial PRIMARY KEY, id uuid NOT NULL UNIQUE, seq bigint NOT NULL DEFAULT 0, \
       messages bigint NOT NULL DEFAULT 0)",
    "CREATE TABLE search_authors (author bigserial PRIMARY KEY, id uuid NOT NULL UNIQUE)",
    // Terms, with `number` in the order in which they first occurred.
    "CREATE TABLE search_terms (number bigserial PRIMARY KEY, term text COLLATE \"C\" NOT NULL UNIQUE, df bigint NOT NULL)",
    // Progress of the initial fill, from the newest message to the oldest.
    "CREATE TABLE search_fill (one integer PRIMARY KEY CHECK (one = 1), below uuid NOT NULL, is_done boolean NOT NULL)",
    "ALTER TABLE search_conversations SET (fillfactor = 80)",
];

pub const POSTGRES_DOWN: &[&str] =
    &["DROP TABLE search_documents, search_conversations, search_authors, search_terms, search_fill"];

/// Queue of messages to index again.
pub fn search_reindex_queue() -> TableCreateStatement {
    Table::create()
        .table("search_reindex_queue")
        .col(uuid("message_id").primary_key())
        // Renewed by each change of the message; increases with time.
        .col(uuid("revision"))
        .to_owned()
}
