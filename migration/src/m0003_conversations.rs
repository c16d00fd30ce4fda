//! Conversations, their messages and event log, and the data that belongs to them: boards,
//! notifications, moderation and search.

mod boards;
mod conversations;
mod messages;
mod moderation;
mod notifications;
pub(crate) mod search;

use sea_orm::DatabaseBackend;

use crate::prelude::*;

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_tables(tables()).await?;
        if manager.get_database_backend() == DatabaseBackend::Postgres {
            manager.execute_all(boards::POSTGRES_COLLATION).await?;
            manager.execute_all(search::POSTGRES_UP).await?;
        }
        for indexes in
            [conversations::INDEXES, messages::INDEXES, boards::INDEXES, notifications::INDEXES, moderation::INDEXES]
        {
            manager.execute_all(indexes).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DatabaseBackend::Postgres {
            manager.execute_all(search::POSTGRES_DOWN).await?;
        }
        manager.drop_tables(tables()).await
    }
}

fn tables() -> Vec<TableCreateStatement> {
    let mut tables = conversations::tables();
    tables.extend(messages::tables());
    tables.extend(boards::tables());
    tables.extend(notifications::tables());
    tables.extend(moderation::tables());
    tables.push(search::search_reindex_queue());
    tables
}
