//! What a client of tus says of its file, as it was written: it is told so again.

use crate::{prelude::*, schema::text_null};

pub struct Migration;

const TABLE: &str = "uploads";
const METADATA: &str = "tus_metadata";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(TABLE).add_column(text_null(METADATA)).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(TABLE).drop_column(METADATA).to_owned()).await
    }
}
