//! What is known of refunds that are under way: how often they were asked for, since when it isn't known what became of that, and what was answered.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, text_null},
};

pub struct Migration;

const TABLE: &str = "payment_refunds";
const COLUMNS: [&str; 5] = ["tries", "unknown_since", "last_answer", "told_at", "reversals"];
/// Refunds that nobody asks about any more, though they haven't ended.
const STUCK: &str =
    "CREATE INDEX payment_refunds_stuck ON payment_refunds (payment_id) WHERE state = 'pending' AND check_at IS NULL";
/// They may have been asked for; those that gateways have told of are asked about now.
const UNDER_WAY: &str = "UPDATE payment_refunds SET unknown_since = created_at, check_at = COALESCE(check_at, created_at) WHERE state = 'pending'";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            big_integer("tries").default(0).take(),
            big_integer_null("unknown_since"),
            text_null("last_answer"),
            // Of which moment the gateway's word is that the state follows from.
            big_integer_null("told_at"),
            // How often it was done after it had failed.
            big_integer("reversals").default(0).take(),
        ] {
            manager.alter_table(Table::alter().table(TABLE).add_column(column).to_owned()).await?;
        }
        for statement in [UNDER_WAY, STUCK] {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("payment_refunds_stuck").table(TABLE).to_owned()).await?;
        for column in COLUMNS {
            manager.alter_table(Table::alter().table(TABLE).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
