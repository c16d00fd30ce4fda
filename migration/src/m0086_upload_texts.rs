//! What files say, so that it is searched; and messages that the search index is to read again.

use sea_orm::DatabaseBackend;

use crate::{
    prelude::*,
    schema::{big_integer, integer, text, uuid},
};

pub struct Migration;

/// The index is filled anew, and asks for the texts of the files that it meets.
const EMPTIED: &str = "TRUNCATE search_documents, search_conversations, search_authors, search_terms, search_fill";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let texts = Table::create()
            .table("upload_texts")
            .col(uuid("upload_id").primary_key())
            .col(text("text"))
            // In bytes; 0: no text comes out of the file.
            .col(integer("length"))
            .col(big_integer("read_at"))
            .to_owned();
        manager.create_table(texts).await?;
        let touched = Table::create()
            .table("search_touched")
            .col(uuid("message_id").primary_key())
            // Another one each time: what is touched while it is read stays.
            .col(uuid("mark"))
            .to_owned();
        manager.create_table(touched).await?;
        if manager.get_database_backend() == DatabaseBackend::Postgres {
            manager.get_connection().execute_unprepared(EMPTIED).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["search_touched", "upload_texts"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
