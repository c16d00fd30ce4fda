//! How many pictures a tool's result has, so that they needn't be read to be counted; and the prompts that a server of tools has told of.

use crate::{
    prelude::*,
    schema::{integer, text},
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let count = Table::alter().table("tool_calls").add_column(integer("picture_count").default(0)).to_owned();
        manager.alter_table(count).await?;
        let prompts = Table::alter().table("mcp_servers").add_column(text("prompts").default("[]")).to_owned();
        manager.alter_table(prompts).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("mcp_servers").drop_column("prompts").to_owned()).await?;
        manager.alter_table(Table::alter().table("tool_calls").drop_column("picture_count").to_owned()).await
    }
}
