//! Of what an incident is, where there are several of its kind: the name of the provider of models that rests.

use crate::{prelude::*, schema::text_null};

pub struct Migration;

const TABLE: &str = "incidents";
const COLUMN: &str = "detail";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(TABLE).add_column(text_null(COLUMN)).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(TABLE).drop_column(COLUMN).to_owned()).await
    }
}
