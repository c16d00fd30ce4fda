//! Failed attempts, repairs and refusals of requests to models, and their look-up by request id.

use crate::{prelude::*, schema::text_null};

pub struct Migration;

const INDEX: &str = "usage_requests_request";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("usage_requests").add_column(text_null("details")).to_owned()).await?;
        manager.create_index(Index::create().name(INDEX).table("usage_requests").col("request_id").to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name(INDEX).table("usage_requests").to_owned()).await?;
        manager.alter_table(Table::alter().table("usage_requests").drop_column("details").to_owned()).await
    }
}
