//! The gateway: what a key may be used for, models that administrators define, what was used, and budgets.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, blob_null, string, string_null, text, text_null, uuid, uuid_null},
};

pub struct Migration;

const KEYS: &str = "api_keys";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite takes one column at a time.
        for column in policy() {
            manager.alter_table(Table::alter().table(KEYS).add_column(column).to_owned()).await?;
        }
        for table in [gateway_models(), budgets(), budget_holds(), usage_requests(), usage_days()] {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["usage_days", "usage_requests", "budget_holds", "budgets", "gateway_models"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        for index in ["api_keys_previous", "api_keys_workspace"] {
            manager.drop_index(Index::drop().name(index).table(KEYS).to_owned()).await?;
        }
        for column in policy() {
            let name = column.get_column_name().to_owned();
            manager.alter_table(Table::alter().table(KEYS).drop_column(Alias::new(name)).to_owned()).await?;
        }
        Ok(())
    }
}

/// What a key is allowed beside its scopes. Null: whatever its owner is.
fn policy() -> [ColumnDef; 8] {
    [
        uuid_null("workspace_id").to_owned(),
        // JSON.
        text_null("models").to_owned(),
        string_null("endpoints").to_owned(),
        big_integer_null("rpm").to_owned(),
        big_integer_null("tpm").to_owned(),
        big_integer_null("parallel").to_owned(),
        // The key from before a rotation, for as long as it may still be used.
        blob_null("previous_hash").to_owned(),
        big_integer_null("previous_until").to_owned(),
    ]
}

fn gateway_models() -> TableCreateStatement {
    Table::create()
        .table("gateway_models")
        .col(string("name").primary_key())
        // JSON: it is read as a whole, into the routing table of each instance.
        .col(text("definition"))
        .col(big_integer("updated_at"))
        .to_owned()
}

fn budgets() -> TableCreateStatement {
    Table::create()
        .table("budgets")
        // `key`, `user` or `workspace`, and which one.
        .col(string("scope"))
        .col(uuid("scope_id"))
        .col(big_integer("most"))
        .col(string("period"))
        .col(big_integer("period_start"))
        .col(big_integer("spent").default(0))
        .col(big_integer("held").default(0))
        .primary_key(Index::create().col("scope").col("scope_id"))
        .to_owned()
}

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
        .col(big_integer("created_at"))
        .col(string("request_id"))
        // Null: an answer in a chat.
        .col(uuid_null("key_id"))
        .col(uuid("user_id"))
        .col(uuid_null("workspace_id"))
        .col(string("endpoint"))
        .col(string("asked_model"))
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
        .col(big_integer("estimated"))
        .col(big_integer("status"))
        .col(big_integer_null("first_token_ms"))
        .col(big_integer("duration_ms"))
        .col(big_integer("tries"))
        .to_owned()
}

fn usage_days() -> TableCreateStatement {
    Table::create()
        .table("usage_days")
        // Midnight UTC.
        .col(big_integer("day"))
        .col(uuid("user_id"))
        // All zeros: answers in chats.
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

fn indexes() -> Vec<IndexCreateStatement> {
    let index = |name: &str, table: &'static str, columns: &[&'static str]| {
        let mut index = Index::create().name(name).table(table).to_owned();
        for column in columns {
            index.col(*column);
        }
        index
    };
    vec![
        index("api_keys_previous", KEYS, &["previous_hash"])
            .unique()
            .and_where(Expr::col("previous_hash").is_not_null())
            .to_owned(),
        index("api_keys_workspace", KEYS, &["workspace_id"])
            .and_where(Expr::col("workspace_id").is_not_null())
            .to_owned(),
        index("budget_holds_expiry", "budget_holds", &["expires_at"]),
        index("usage_requests_key", "usage_requests", &["key_id", "created_at"]),
        index("usage_requests_user", "usage_requests", &["user_id", "created_at"]),
        index("usage_requests_time", "usage_requests", &["created_at"]),
        index("usage_days_key", "usage_days", &["key_id", "day"]),
        index("usage_days_day", "usage_days", &["day"]),
    ]
}
