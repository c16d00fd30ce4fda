//! Versions of prompts and answers in chats with an assistant.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, string, string_null, text, uuid, uuid_null},
};

pub struct Migration;

const MESSAGES: &str = "messages";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite takes one column at a time.
        for column in [
            // The version that the row has now, and how many there are.
            big_integer("version").default(1).to_owned(),
            big_integer("version_count").default(1).to_owned(),
            // What follows another version of this message is not shown.
            uuid_null("hidden_by"),
            big_integer_null("hidden_version"),
        ] {
            manager.alter_table(Table::alter().table(MESSAGES).add_column(column).to_owned()).await?;
        }
        manager.create_table(message_versions()).await?;
        let index = "CREATE INDEX messages_hidden ON messages (hidden_by, hidden_version) WHERE hidden_by IS NOT NULL";
        manager.get_connection().execute_unprepared(index).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("messages_hidden").table(MESSAGES).to_owned()).await?;
        manager.drop_table(Table::drop().table("message_versions").to_owned()).await?;
        for column in ["version", "version_count", "hidden_by", "hidden_version"] {
            manager.alter_table(Table::alter().table(MESSAGES).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}

/// The versions that are not shown; the one that is, is the message itself.
fn message_versions() -> TableCreateStatement {
    Table::create()
        .table("message_versions")
        .col(uuid("message_id"))
        .col(big_integer("version"))
        .col(text("content"))
        .col(string("status"))
        .col(string_null("reason"))
        .col(string_null("model"))
        .primary_key(Index::create().col("message_id").col("version"))
        .to_owned()
}
