//! People, their sign-ins, and the keys that sign access tokens.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, blob, blob_null, boolean, string, string_null, uuid},
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(users()).await?;
        manager.create_index(one_account_per_address()).await?;
        manager.create_table(user_sessions()).await?;
        manager
            .create_index(
                Index::create()
                    .name("user_sessions_user")
                    .table("user_sessions")
                    .col("user_id")
                    .col("last_used_at")
                    .to_owned(),
            )
            .await?;
        manager.create_table(refresh_tokens()).await?;
        manager
            .create_index(
                Index::create()
                    .name("refresh_tokens_hash")
                    .table("refresh_tokens")
                    .col("token_hash")
                    .unique()
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create().name("refresh_tokens_session").table("refresh_tokens").col("session_id").to_owned(),
            )
            .await?;
        manager.create_table(signing_keys()).await?;
        manager.create_index(one_active_key()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["signing_keys", "refresh_tokens", "user_sessions", "users"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn users() -> TableCreateStatement {
    Table::create()
        .table("users")
        .col(uuid("id").primary_key())
        .col(string("email"))
        .col(string("display_name"))
        // The name in lower case by Unicode's rules, which SQLite's own functions don't know.
        .col(string("search_name"))
        .col(string_null("password_hash"))
        .col(string("role"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .col(boolean("is_deleted").default(false))
        .to_owned()
}

/// The address of a deleted account can be used again.
fn one_account_per_address() -> IndexCreateStatement {
    Index::create()
        .name("users_email")
        .table("users")
        .col("email")
        .unique()
        .and_where(Expr::col("is_deleted").eq(false))
        .to_owned()
}

fn user_sessions() -> TableCreateStatement {
    Table::create()
        .table("user_sessions")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(string_null("user_agent"))
        .col(string_null("address"))
        .col(big_integer("created_at"))
        .col(big_integer("last_used_at"))
        .col(big_integer("expires_at"))
        .col(big_integer_null("ended_at"))
        .foreign_key(
            ForeignKey::create()
                .name("user_sessions_user_id")
                .from("user_sessions", "user_id")
                .to("users", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

fn refresh_tokens() -> TableCreateStatement {
    Table::create()
        .table("refresh_tokens")
        .col(uuid("id").primary_key())
        .col(uuid("session_id"))
        .col(blob("token_hash"))
        .col(big_integer("created_at"))
        .col(big_integer_null("used_at"))
        // The answer to a rotation, for whoever asks again with the same idempotency key: sealed with a key that only the
        // holder of the used token can derive.
        .col(blob_null("successor"))
        .foreign_key(
            ForeignKey::create()
                .name("refresh_tokens_session_id")
                .from("refresh_tokens", "session_id")
                .to("user_sessions", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

fn signing_keys() -> TableCreateStatement {
    Table::create()
        .table("signing_keys")
        .col(string("kid").primary_key())
        .col(blob("private_key"))
        .col(boolean("is_sealed"))
        .col(boolean("is_active"))
        .col(big_integer("created_at"))
        .to_owned()
}

/// If two instances create the first key at the same time, only one succeeds.
fn one_active_key() -> IndexCreateStatement {
    Index::create()
        .name("signing_keys_active")
        .table("signing_keys")
        .col("is_active")
        .unique()
        .and_where(Expr::col("is_active").eq(true))
        .to_owned()
}
