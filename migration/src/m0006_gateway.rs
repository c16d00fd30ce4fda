//! API keys, AI providers and models, budgets and usage.

use crate::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, binary_null, blob, blob_null, boolean, cascading_reference, string, string_null,
        text, text_null, uuid, uuid_null,
    },
};

pub struct Migration;

const INDEXES: &[&str] = &[
    "CREATE UNIQUE INDEX api_keys_hash ON api_keys (key_hash)",
    "CREATE INDEX api_keys_user ON api_keys (user_id)",
    "CREATE INDEX api_keys_revoked ON api_keys (revoked_at) WHERE revoked_at IS NOT NULL",
    "CREATE UNIQUE INDEX api_keys_previous ON api_keys (previous_hash) WHERE previous_hash IS NOT NULL",
    "CREATE INDEX api_keys_workspace ON api_keys (workspace_id) WHERE workspace_id IS NOT NULL",
    "CREATE INDEX budget_holds_expiry ON budget_holds (expires_at)",
    "CREATE INDEX usage_requests_key ON usage_requests (key_id, created_at)",
    "CREATE INDEX usage_requests_user ON usage_requests (user_id, created_at)",
    "CREATE INDEX usage_requests_time ON usage_requests (created_at)",
    "CREATE INDEX usage_days_key ON usage_days (key_id, day)",
    "CREATE INDEX usage_days_day ON usage_days (day)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_tables(tables()).await?;
        manager.execute_all(INDEXES).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_tables(tables()).await
    }
}

fn tables() -> Vec<TableCreateStatement> {
    vec![
        api_keys(),
        ai_providers(),
        gateway_models(),
        model_lists(),
        budgets(),
        budget_holds(),
        usage_requests(),
        usage_days(),
    ]
}

fn api_keys() -> TableCreateStatement {
    Table::create()
        .table("api_keys")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(string("name"))
        // Start of the key, which is shown to its owner.
        .col(string("prefix"))
        .col(blob("key_hash"))
        .col(string("scopes"))
        .col(big_integer_null("expires_at"))
        .col(big_integer_null("last_used_at"))
        .col(big_integer_null("revoked_at"))
        .col(uuid_null("workspace_id"))
        // Allowed models as JSON. If a limit of the key is NULL, its owner's limit applies.
        .col(text_null("models"))
        .col(string_null("endpoints"))
        .col(big_integer_null("rpm"))
        .col(big_integer_null("tpm"))
        .col(big_integer_null("parallel"))
        // Hash of the key before its last rotation; the old key is valid until `previous_until`.
        .col(blob_null("previous_hash"))
        .col(big_integer_null("previous_until"))
        // Restricted passthrough parameters that the key may send, comma-separated; NULL allows all
        // of them.
        .col(string_null("passes"))
        .col(big_integer("created_at"))
        .foreign_key(&mut cascading_reference("user_id", "users"))
        .to_owned()
}

fn ai_providers() -> TableCreateStatement {
    Table::create()
        .table("ai_providers")
        .col(string("name").primary_key())
        .col(string("kind"))
        .col(text_null("base_url"))
        // Model names as a JSON array.
        .col(text("models"))
        .col(big_integer_null("requests_per_minute"))
        // API keys as sealed JSON.
        .col(binary_null("keys"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .to_owned()
}

fn gateway_models() -> TableCreateStatement {
    Table::create()
        .table("gateway_models")
        .col(string("name").primary_key())
        // Definition of the model as JSON.
        .col(text("definition"))
        .col(big_integer("updated_at"))
        .to_owned()
}

fn model_lists() -> TableCreateStatement {
    Table::create()
        .table("model_lists")
        // `user` or `workspace`.
        .col(string("scope"))
        .col(uuid("scope_id"))
        // Allowed models as JSON.
        .col(text("models"))
        .col(big_integer("updated_at"))
        .primary_key(Index::create().col("scope").col("scope_id"))
        .to_owned()
}

fn budgets() -> TableCreateStatement {
    Table::create()
        .table("budgets")
        // `key`, `user` or `workspace`.
        .col(string("scope"))
        .col(uuid("scope_id"))
        // Spending limit per period.
        .col(big_integer("spending_limit"))
        .col(string("period"))
        .col(big_integer("period_start"))
        .col(big_integer("spent").default(0))
        .col(big_integer("held").default(0))
        .primary_key(Index::create().col("scope").col("scope_id"))
        .to_owned()
}

/// Reservations against budgets for calls in progress.
fn budget_holds() -> TableCreateStatement {
    Table::create()
        .table("budget_holds")
        .col(uuid("id"))
        .col(string("scope"))
        .col(uuid("scope_id"))
        .col(big_integer("amount"))
        .col(big_integer("expires_at"))
        .primary_key(Index::create().col("id").col("scope"))
        .to_owned()
}

fn usage_requests() -> TableCreateStatement {
    Table::create()
        .table("usage_requests")
        .col(uuid("id").primary_key())
        .col(string("request_id"))
        // API key; NULL for an answer in a chat.
        .col(uuid_null("key_id"))
        .col(uuid("user_id"))
        .col(uuid_null("workspace_id"))
        .col(string("endpoint"))
        .col(string("requested_model"))
        .col(string("model"))
        .col(string("deployment"))
        .col(big_integer("input_tokens"))
        .col(big_integer("cached_tokens"))
        .col(big_integer("cache_write_tokens"))
        .col(big_integer("output_tokens"))
        .col(big_integer("reasoning_tokens"))
        .col(big_integer("audio_tokens"))
        .col(big_integer("cost"))
        .col(string("price_version"))
        .col(boolean("estimated"))
        .col(big_integer("status"))
        .col(big_integer_null("first_token_ms"))
        .col(big_integer("duration_ms"))
        .col(big_integer("attempts"))
        .col(big_integer("created_at"))
        .to_owned()
}

/// Usage aggregated per day (UTC).
fn usage_days() -> TableCreateStatement {
    Table::create()
        .table("usage_days")
        // Start of the day (UTC).
        .col(big_integer("day"))
        .col(uuid("user_id"))
        // API key; the nil UUID for answers in chats.
        .col(uuid("key_id"))
        .col(string("model"))
        .col(big_integer("requests"))
        .col(big_integer("failed"))
        .col(big_integer("input_tokens"))
        .col(big_integer("cached_tokens"))
        .col(big_integer("output_tokens"))
        .col(big_integer("cost"))
        .primary_key(Index::create().col("user_id").col("day").col("key_id").col("model"))
        .to_owned()
}
