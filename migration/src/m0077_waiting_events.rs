//! Events that wait for a charge are found by it, and old ones by their age.

use crate::{prelude::*, schema::string_null};

pub struct Migration;

const TABLE: &str = "payment_events";
const COLUMN: &str = "charge";
const STATEMENTS: [&str; 3] = [
    "UPDATE payment_events SET charge = SUBSTR(waits_for, 8) WHERE waits_for LIKE 'charge:%' AND applied_at IS NULL",
    "CREATE INDEX payment_events_charge ON payment_events (gateway, charge) WHERE applied_at IS NULL AND charge IS NOT NULL",
    "CREATE INDEX payment_events_time ON payment_events (verified_at)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(TABLE).add_column(string_null(COLUMN)).to_owned()).await?;
        for statement in STATEMENTS {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for index in ["payment_events_charge", "payment_events_time"] {
            manager.drop_index(Index::drop().name(index).table(TABLE).to_owned()).await?;
        }
        manager.alter_table(Table::alter().table(TABLE).drop_column(COLUMN).to_owned()).await
    }
}
