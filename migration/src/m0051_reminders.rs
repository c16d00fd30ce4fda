//! Reminders of messages.

use crate::{
    prelude::*,
    schema::{big_integer, text_null, uuid},
};

pub struct Migration;

const TABLE: &str = "reminders";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(TABLE)
                    .col(uuid("id").primary_key())
                    .col(uuid("user_id"))
                    .col(uuid("message_id"))
                    .col(big_integer("at"))
                    .col(text_null("note"))
                    .col(big_integer("created_at"))
                    .to_owned(),
            )
            .await?;
        manager.get_connection().execute_unprepared("CREATE INDEX reminders_listed ON reminders (user_id, at)").await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(TABLE).to_owned()).await
    }
}
