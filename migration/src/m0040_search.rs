//! The index of messages' words on PostgreSQL; on SQLite it is a file of its own. It holds no texts, can be dropped at any time and is filled anew then.

use sea_orm::DatabaseBackend;

use crate::prelude::*;

pub struct Migration;

const UP: [&str; 8] = [
    // `doc` rises with time. `words` has the conversation and the author too.
    "CREATE TABLE search_documents (doc bigint PRIMARY KEY, message uuid NOT NULL UNIQUE, conv bigint NOT NULL, author bigint, \
       created_at bigint NOT NULL, words tsvector NOT NULL)",
    // A pending list would be emptied by whoever writes next, for half a second.
    "CREATE INDEX search_documents_words ON search_documents USING gin (words) WITH (fastupdate = off)",
    "CREATE INDEX search_documents_conv ON search_documents (conv, doc)",
    // How far each conversation was read, and how many messages of it are there.
    "CREATE TABLE search_conversations (conv bigserial PRIMARY KEY, id uuid NOT NULL UNIQUE, seq bigint NOT NULL DEFAULT 0, \
       messages bigint NOT NULL DEFAULT 0)",
    "CREATE TABLE search_authors (author bigserial PRIMARY KEY, id uuid NOT NULL UNIQUE)",
    // `number` rises in the order in which words were first met.
    "CREATE TABLE search_terms (number bigserial PRIMARY KEY, term text COLLATE \"C\" NOT NULL UNIQUE, df bigint NOT NULL)",
    // How far what was there before is read, from the newest to the oldest.
    "CREATE TABLE search_fill (one integer PRIMARY KEY CHECK (one = 1), below uuid NOT NULL, is_done boolean NOT NULL)",
    "ALTER TABLE search_conversations SET (fillfactor = 80)",
];

const TABLES: [&str; 5] = ["search_documents", "search_conversations", "search_authors", "search_terms", "search_fill"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DatabaseBackend::Postgres {
            for sql in UP {
                manager.get_connection().execute_unprepared(sql).await?;
            }
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DatabaseBackend::Postgres {
            for table in TABLES {
                manager.get_connection().execute_unprepared(&format!("DROP TABLE {table}")).await?;
            }
        }
        Ok(())
    }
}
