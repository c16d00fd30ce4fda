//! Jobs that people have asked for at a time get their turns when they are due: what is read for that.

use crate::prelude::*;

pub struct Migration;

const INDEX: &str = "jobs_awaiting_turn";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The query says the same conditions in the same words.
        let sql = format!(
            "CREATE INDEX {INDEX} ON jobs (kind, due_at) \
             WHERE due_at IS NOT NULL AND owner IS NOT NULL AND turn IS NULL AND attempt = 0 AND is_behind = FALSE"
        );
        manager.get_connection().execute_unprepared(&sql).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name(INDEX).table("jobs").to_owned()).await
    }
}
