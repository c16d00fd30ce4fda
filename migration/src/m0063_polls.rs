//! Polls: what people choose from, and who has chosen what.

use crate::{
    prelude::*,
    schema::{big_integer, small_integer, text_null, uuid},
};

pub struct Migration;

const MESSAGES: &str = "messages";
const VOTES: &str = "poll_votes";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(MESSAGES).add_column(poll()).to_owned()).await?;
        manager.create_table(votes()).await?;
        for index in
            ["poll_votes_shown ON poll_votes (message_id, choice, seq)", "poll_votes_user ON poll_votes (user_id)"]
        {
            manager.get_connection().execute_unprepared(&format!("CREATE INDEX {index}")).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(VOTES).to_owned()).await?;
        manager.alter_table(Table::alter().table(MESSAGES).drop_column(poll().get_column_name()).to_owned()).await
    }
}

/// What one chooses from, and what is shown of the rows of `poll_votes`, as JSON.
fn poll() -> ColumnDef {
    text_null("poll")
}

fn votes() -> TableCreateStatement {
    Table::create()
        .table(VOTES)
        .col(uuid("message_id"))
        .col(uuid("user_id"))
        // The place of the option, from 0.
        .col(small_integer("choice"))
        // The number of the event: in this order people are shown.
        .col(big_integer("seq"))
        .primary_key(Index::create().col("message_id").col("user_id").col("choice"))
        .to_owned()
}
