//! Chats with assistants that are shown to others of their workspace.

use crate::{
    prelude::*,
    schema::{big_integer, text, uuid},
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("chat_shares")
            .col(uuid("conversation_id").primary_key())
            // What the link names.
            .col(uuid("id").unique_key())
            .col(uuid("user_id"))
            // Which messages, and which version of each, as JSON.
            .col(text("messages"))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at"))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("chat_shares").to_owned()).await
    }
}
