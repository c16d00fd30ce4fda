//! When something was last said in a conversation: lists are in this order, and nobody's leaving changes it.

use crate::{prelude::*, schema::big_integer};

pub struct Migration;

const TABLE: &str = "conversations";
const COLUMN: &str = "talked_at";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(TABLE).add_column(big_integer(COLUMN).default(0)).to_owned()).await?;
        let fill = "UPDATE conversations SET talked_at = last_activity_at";
        manager.get_connection().execute_unprepared(fill).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(TABLE).drop_column(COLUMN).to_owned()).await
    }
}
