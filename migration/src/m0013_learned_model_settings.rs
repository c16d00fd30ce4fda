//! Settings of models that were learned from the refusals of AI providers.

use crate::{
    prelude::*,
    schema::{big_integer, string},
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_tables(vec![learned_model_settings()]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_tables(vec![learned_model_settings()]).await
    }
}

fn learned_model_settings() -> TableCreateStatement {
    Table::create()
        .table("learned_model_settings")
        .col(string("provider"))
        // Address of the provider when the setting was learned. At another one it doesn't apply.
        .col(string("base_url"))
        .col(string("model"))
        // Setting of the model's profile, such as `images=no`.
        .col(string("setting"))
        .col(big_integer("learned_at"))
        .primary_key(Index::create().col("provider").col("base_url").col("model").col("setting"))
        .to_owned()
}
