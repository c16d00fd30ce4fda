//! Providers of models that administrators add in the console, beside those of the configuration.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, binary_null, string, text, text_null},
};

pub struct Migration;

const TABLE: &str = "ai_providers";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
            .col(string("name").primary_key())
            .col(string("kind"))
            .col(text_null("base_url"))
            // Their names, as JSON.
            .col(text("models"))
            .col(big_integer_null("requests_per_minute"))
            // As JSON, sealed.
            .col(binary_null("keys"))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at"))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(TABLE).to_owned()).await
    }
}
