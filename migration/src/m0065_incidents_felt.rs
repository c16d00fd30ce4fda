//! Who felt an incident: how much failed or came late while it lasted, and how many people were concerned.

use crate::{prelude::*, schema::big_integer_null};

pub struct Migration;

const TABLE: &str = "incidents";
const COLUMNS: [&str; 2] = ["felt", "people"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in COLUMNS {
            manager.alter_table(Table::alter().table(TABLE).add_column(big_integer_null(name)).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in COLUMNS {
            manager.alter_table(Table::alter().table(TABLE).drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}
