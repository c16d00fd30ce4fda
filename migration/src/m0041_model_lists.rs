//! The models that people and workspaces may use, where administrators limit them.

use crate::{
    prelude::*,
    schema::{big_integer, string, text, uuid},
};

pub struct Migration;

const TABLE: &str = "model_lists";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
            // `user` or `workspace`, and which one.
            .col(string("scope"))
            .col(uuid("scope_id"))
            // JSON.
            .col(text("models"))
            .col(big_integer("updated_at"))
            .primary_key(Index::create().col("scope").col("scope_id"))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(TABLE).to_owned()).await
    }
}
