//! Indexes by which the texts of one person are found, to count them against a quota.

use crate::prelude::*;

pub struct Migration;

/// Name and table.
const INDEXES: &[(&str, &str)] =
    &[("tasks_creator", "tasks"), ("prompts_creator", "prompts"), ("assistants_creator", "assistants")];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, table) in INDEXES {
            let sql = format!("CREATE INDEX {name} ON {table} (created_by)");
            manager.get_connection().execute_unprepared(&sql).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, table) in INDEXES {
            manager.drop_index(Index::drop().name(*name).table(*table).to_owned()).await?;
        }
        Ok(())
    }
}
