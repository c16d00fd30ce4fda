//! Which plans are versions of the same one.

use crate::{prelude::*, schema::uuid_null};

pub struct Migration;

const TABLE: &str = "pricing_plans";
const COLUMN: &str = "family";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The id of the first version; none: it is the first.
        manager.alter_table(Table::alter().table(TABLE).add_column(uuid_null(COLUMN)).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(TABLE).drop_column(COLUMN).to_owned()).await
    }
}
