//! What is known of the installation as a whole, by name: when its first administrator was done setting it up, and what was tried then.

use crate::{
    prelude::*,
    schema::{big_integer, string, text},
};

pub struct Migration;

const TABLE: &str = "installation";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
            .col(string("name").primary_key())
            .col(text("value"))
            .col(big_integer("updated_at"))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(TABLE).to_owned()).await
    }
}
