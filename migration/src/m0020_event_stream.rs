//! Events that other programs receive through a message broker.

use crate::{
    prelude::*,
    schema::{big_integer, small_integer, text_null, uuid, uuid_null},
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_tables(vec![event_stream_outbox(), event_stream()]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_tables(vec![event_stream_outbox(), event_stream()]).await
    }
}

/// Batches of events that the broker has not confirmed. The id is that of the batch.
fn event_stream_outbox() -> TableCreateStatement {
    Table::create().table("event_stream_outbox").col(uuid("id").primary_key()).col(big_integer("created_at")).to_owned()
}

/// State of the publisher, in one row.
fn event_stream() -> TableCreateStatement {
    Table::create()
        .table("event_stream")
        .col(small_integer("id").primary_key())
        // Instance that publishes, until its lease expires.
        .col(uuid_null("holder"))
        .col(big_integer("lease_until"))
        // Position of the last event in the broker's stream.
        .col(big_integer("published"))
        .col(text_null("last_error"))
        .to_owned()
}
