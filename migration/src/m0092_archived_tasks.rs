//! Tasks that are put away: their board doesn't show them, and nobody is reminded of them.

use crate::{prelude::*, schema::big_integer_null};

pub struct Migration;

const TABLE: &str = "tasks";
const COLUMN: &str = "archived_at";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(TABLE).add_column(big_integer_null(COLUMN)).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(TABLE).drop_column(COLUMN).to_owned()).await
    }
}
