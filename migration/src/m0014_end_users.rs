//! End users behind API keys: their usage and their budgets.

use crate::{
    prelude::*,
    schema::{string_null, text_null, uuid_null},
};

pub struct Migration;

const INDEXES: &[&str] = &[
    "CREATE INDEX usage_requests_end_user ON usage_requests (end_user, created_at) WHERE end_user IS NOT NULL",
    "CREATE INDEX budgets_key ON budgets (key_id, scope) WHERE key_id IS NOT NULL",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in columns() {
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        manager.execute_all(INDEXES).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (index, table) in [("usage_requests_end_user", "usage_requests"), ("budgets_key", "budgets")] {
            manager.drop_index(Index::drop().name(index).table(table).to_owned()).await?;
        }
        for (table, column) in columns() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table(table).drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}

fn columns() -> Vec<(&'static str, ColumnDef)> {
    vec![
        ("usage_requests", text_null("end_user")),
        // Name of the model on this server; NULL in rows of older releases.
        ("usage_requests", string_null("model_name")),
        // Source of the end user of a call; NULL is the default.
        ("api_keys", string_null("end_users")),
        // Budgets of parts of the key's calls as JSON.
        ("api_keys", text_null("scoped_budgets")),
        // Key whose calls a budget covers in part, and the name of the part, such as an end user.
        ("budgets", uuid_null("key_id")),
        ("budgets", text_null("name")),
        // End user and tags of the request as JSON.
        ("gateway_responses", text_null("labels")),
    ]
}
