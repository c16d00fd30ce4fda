//! What people set for themselves beside who they are: their instructions to all assistants.

use crate::{
    prelude::*,
    schema::{big_integer, text, uuid},
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("user_settings")
            .col(uuid("user_id").primary_key())
            .col(text("instructions"))
            .col(big_integer("updated_at"))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("user_settings").to_owned()).await
    }
}
