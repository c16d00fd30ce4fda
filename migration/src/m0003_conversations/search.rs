//! The search index of messages on PostgreSQL. SQLite keeps it in a file of its own.

use crate::{prelude::*, schema::uuid};

/// The index contains no text. It can be emptied at any time and is then filled again.
pub const POSTGRES_UP: &[&str] = &[
    // `doc` rises with time. `words` includes the conversation and the author.
    "CREATE TABLE search_documents (doc bigint PRIMARY KEY, message uuid NOT NULL UNIQUE, conv bigint NOT NULL, author bigint, \
       created_at bigint NOT NULL, words tsvector NOT NULL)",
    // Without a pending list, which the next writer would flush for half a second.
    "CREATE INDEX search_documents_words ON search_documents USING gin (words) WITH (fastupdate = off)",
    "CREATE INDEX search_documents_conv ON search_documents (conv, doc)",
    // Position up to which each conversation is indexed, and the number of its messages in the index.
    "CREATE TABLE search_conversations (conv bigserial PRIMARY KEY, id uuid NOT NULL UNIQUE, seq bigint NOT NULL DEFAULT 0, \
       messages bigint NOT NULL DEFAULT 0)",
    "CREATE TABLE search_authors (author bigserial PRIMARY KEY, id uuid NOT NULL UNIQUE)",
    // `number` rises in the order of first occurrence.
    "CREATE TABLE search_terms (number bigserial PRIMARY KEY, term text COLLATE \"C\" NOT NULL UNIQUE, df bigint NOT NULL)",
    // Progress of the backfill, from the newest message to the oldest.
    "CREATE TABLE search_fill (one integer PRIMARY KEY CHECK (one = 1), below uuid NOT NULL, is_done boolean NOT NULL)",
    "ALTER TABLE search_conversations SET (fillfactor = 80)",
];

pub const POSTGRES_DOWN: &[&str] =
    &["DROP TABLE search_documents, search_conversations, search_authors, search_terms, search_fill"];

/// Messages to index again.
pub fn search_reindex_queue() -> TableCreateStatement {
    Table::create()
        .table("search_reindex_queue")
        .col(uuid("message_id").primary_key())
        // Random on each change, so that a change during indexing is not lost.
        .col(uuid("revision"))
        .to_owned()
}
