//! Search index in files of each instance: PostgreSQL no longer contains it.

use sea_orm::DatabaseBackend;

use crate::{
    m0003_conversations::search,
    prelude::*,
    schema::{string, uuid},
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DatabaseBackend::Postgres {
            manager.execute_all(search::POSTGRES_DOWN).await?;
        }
        // Each instance reads the messages that were queued since it last did.
        manager.execute_all(&["CREATE INDEX search_reindex_queue_revision ON search_reindex_queue (revision)"]).await?;
        manager.create_table(search_requests()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("search_requests").to_owned()).await?;
        manager
            .drop_index(Index::drop().name("search_reindex_queue_revision").table("search_reindex_queue").to_owned())
            .await?;
        if manager.get_database_backend() == DatabaseBackend::Postgres {
            manager.execute_all(search::POSTGRES_UP).await?;
        }
        Ok(())
    }
}

/// Requests to all instances to maintain their indexes, one of each kind.
fn search_requests() -> TableCreateStatement {
    Table::create()
        .table("search_requests")
        .col(string("kind").primary_key())
        // Renewed by each request.
        .col(uuid("request"))
        .to_owned()
}
