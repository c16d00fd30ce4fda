//! The words of the pieces of files that assistants know, so that these are found by their words, too; and what embedding a file has cost.

use sea_orm::DatabaseBackend;

use crate::{
    prelude::*,
    schema::{big_integer, blob, integer, uuid},
};

pub struct Migration;

const FILES: &str = "knowledge_files";
const COST: &str = "cost";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Those of some pieces that follow each other; how they are written stands in `service::knowledge::words`.
        let table = Table::create()
            .table("knowledge_words")
            .col(uuid("file_id"))
            .col(integer("first"))
            .col(integer("count"))
            .col(blob("words"))
            .primary_key(Index::create().col("file_id").col("first"))
            .to_owned();
        manager.create_table(table).await?;
        manager.alter_table(Table::alter().table(FILES).add_column(big_integer(COST).default(0)).to_owned()).await?;
        if manager.get_database_backend() == DatabaseBackend::Postgres {
            // Hashes don't get smaller by being packed.
            let sql = "ALTER TABLE knowledge_words ALTER COLUMN words SET STORAGE EXTERNAL";
            manager.get_connection().execute_unprepared(sql).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(FILES).drop_column(COST).to_owned()).await?;
        manager.drop_table(Table::drop().table("knowledge_words").to_owned()).await
    }
}
