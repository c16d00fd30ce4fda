//! What others were told that somebody has read, where they have marked some of it as unread since.

use crate::{prelude::*, schema::big_integer};

pub struct Migration;

const TABLE: &str = "conversation_members";
const COLUMN: &str = "receipt_seq";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(TABLE).add_column(big_integer(COLUMN).default(0)).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(TABLE).drop_column(COLUMN).to_owned()).await
    }
}
