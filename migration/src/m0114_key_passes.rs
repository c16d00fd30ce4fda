//! What routes or costs and may pass with a key, where its provider's settings hand it on. Keys that there are may do all of it, as before.

use crate::{prelude::*, schema::string_null};

pub struct Migration;

const TABLE: &str = "api_keys";
const COLUMN: &str = "passes";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(TABLE).add_column(string_null(COLUMN)).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(TABLE).drop_column(COLUMN).to_owned()).await
    }
}
