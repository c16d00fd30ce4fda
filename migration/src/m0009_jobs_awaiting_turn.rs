//! Index of requested jobs whose start time has come and that are to get their queue position next.

use crate::prelude::*;

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The query repeats this predicate word for word, so that the partial index is used.
        manager
            .execute_all(&["CREATE INDEX jobs_awaiting_turn ON jobs (kind, due_at) \
                 WHERE due_at IS NOT NULL AND owner IS NOT NULL AND turn IS NULL AND attempt = 0 AND is_blocked = FALSE"])
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("jobs_awaiting_turn").table("jobs").to_owned()).await
    }
}
