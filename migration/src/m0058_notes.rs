//! Notes that people keep for themselves. What is deleted stays as a row without text for a while, so that every device hears of it.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, boolean, string, text, uuid},
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("notes")
            .col(uuid("user_id"))
            // Chosen by the device that begins it.
            .col(uuid("id"))
            .col(string("title"))
            .col(text("content"))
            .col(boolean("pinned"))
            .col(big_integer("version"))
            .col(big_integer("created_at"))
            // When it was written, and when it was stored: no two of a person's at the same moment.
            .col(big_integer("edited_at"))
            .col(big_integer("updated_at"))
            .col(big_integer_null("deleted_at"))
            .primary_key(Index::create().col("user_id").col("id"))
            .to_owned();
        manager.create_table(table).await?;
        let changed = "CREATE UNIQUE INDEX notes_changed ON notes (user_id, updated_at)";
        manager.get_connection().execute_unprepared(changed).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("notes").to_owned()).await
    }
}
