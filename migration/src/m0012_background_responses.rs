//! Responses of the AI gateway that are created in the background.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, reference, string, text, uuid, uuid_null},
};

pub struct Migration;

const INDEXES: &[&str] = &["CREATE INDEX gateway_responses_user ON gateway_responses (user_id, id)"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_tables(vec![gateway_responses()]).await?;
        manager.execute_all(INDEXES).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_tables(vec![gateway_responses()]).await
    }
}

fn gateway_responses() -> TableCreateStatement {
    Table::create()
        .table("gateway_responses")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(uuid_null("workspace_id"))
        // Key to which the response belongs, and by which it is authorised and billed.
        .col(uuid("key_id"))
        // `queued`, `in_progress`, `completed`, `incomplete`, `failed` or `cancelled`.
        .col(string("status"))
        // Body of the request as JSON, with the conversation that it continues.
        .col(text("request"))
        // Response object as JSON; until the end without output.
        .col(text("response"))
        // Length of the request and the response, in bytes.
        .col(big_integer("bytes"))
        .col(big_integer_null("ended_at"))
        // Time after which the response is not executed any more.
        .col(big_integer("expires_at"))
        .col(big_integer("created_at"))
        .foreign_key(&mut reference("user_id", "users"))
        .to_owned()
}
