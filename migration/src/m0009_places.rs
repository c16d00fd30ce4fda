//! Where devices are, when it was last shown whose they are, and jobs that are looked for by kind.

use crate::{
    prelude::*,
    schema::{big_integer_null, string_null},
};

pub struct Migration;

const SESSIONS: &str = "user_sessions";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite takes one column at a time.
        for column in [string_null("country"), string_null("city"), big_integer_null("confirmed_at")] {
            manager.alter_table(Table::alter().table(SESSIONS).add_column(column).to_owned()).await?;
        }
        manager.create_index(jobs_in_hand()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("jobs_kind").table("jobs").to_owned()).await?;
        for column in ["country", "city", "confirmed_at"] {
            manager.alter_table(Table::alter().table(SESSIONS).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}

/// A worker must not scan waiting jobs of kinds that it has no capacity for.
fn jobs_in_hand() -> IndexCreateStatement {
    Index::create()
        .name("jobs_kind")
        .table("jobs")
        .col("kind")
        .col("due_at")
        .and_where(Expr::col("due_at").is_not_null())
        .to_owned()
}
