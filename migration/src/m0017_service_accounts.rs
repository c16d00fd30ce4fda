//! Service accounts: owners of API keys that are not people.

use crate::{
    prelude::*,
    schema::{big_integer, reference, text, uuid, uuid_null},
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_tables(vec![service_accounts()]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_tables(vec![service_accounts()]).await
    }
}

/// Each has a row with the same id in `users`, which has its name and is marked as deleted. Without
/// this table the row is a deleted account, whose keys are refused.
fn service_accounts() -> TableCreateStatement {
    Table::create()
        .table("service_accounts")
        .col(uuid("id").primary_key())
        .col(text("description"))
        // Person who is responsible for it.
        .col(uuid_null("contact_id"))
        .col(big_integer("created_at"))
        .foreign_key(&mut reference("id", "users"))
        .to_owned()
}
