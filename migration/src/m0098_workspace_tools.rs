//! Which of our own tools assistants use in a workspace.

use crate::{
    prelude::*,
    schema::{text, uuid},
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("workspace_tools")
            .col(uuid("workspace_id"))
            .col(text("tool"))
            .col(text("mode"))
            .primary_key(Index::create().col("workspace_id").col("tool"))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("workspace_tools").to_owned()).await
    }
}
