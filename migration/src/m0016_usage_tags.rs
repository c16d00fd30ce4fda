//! Tags of requests to models.

use crate::{prelude::*, schema::text_null};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // JSON array.
        manager.alter_table(Table::alter().table("usage_requests").add_column(text_null("tags")).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("usage_requests").drop_column("tags").to_owned()).await
    }
}
