//! What mail brings: addresses that are proven, people's languages, the tokens of links, the devices that are known; and signing keys
//! that are followed by others.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, blob, string, uuid},
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite adds one column at a time.
        manager.alter_table(add("users", big_integer_null("email_verified_at"))).await?;
        manager.alter_table(add("users", string("language").default("en"))).await?;
        // When it stopped signing: what it has signed is good until its tokens have run out.
        manager.alter_table(add("signing_keys", big_integer_null("retired_at"))).await?;
        manager.create_table(mail_tokens()).await?;
        manager.create_index(unique("mail_tokens_subject", ["purpose", "subject"])).await?;
        manager.create_index(unique("mail_tokens_hash", ["token_hash"])).await?;
        manager.create_table(known_devices()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["known_devices", "mail_tokens"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        for (table, column) in [("signing_keys", "retired_at"), ("users", "language"), ("users", "email_verified_at")] {
            manager.alter_table(Table::alter().table(table).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}

fn add(table: &'static str, column: impl IntoColumnDef) -> TableAlterStatement {
    Table::alter().table(table).add_column(column).to_owned()
}

fn unique<const N: usize>(name: &str, columns: [&'static str; N]) -> IndexCreateStatement {
    let mut index = Index::create().name(name).table("mail_tokens").unique().to_owned();
    for column in columns {
        index.col(column);
    }
    index
}

/// What a link in a mail proves. One for each purpose and subject: a newer mail takes the place of the one before.
fn mail_tokens() -> TableCreateStatement {
    Table::create()
        .table("mail_tokens")
        .col(uuid("id").primary_key())
        .col(string("purpose"))
        // The account, the invitation, …: what the purpose is about.
        .col(uuid("subject"))
        // SHA-256 of the token, which has 256 random bits and so needs no salt.
        .col(blob("token_hash"))
        .col(big_integer("expires_at"))
        .col(big_integer("created_at"))
        .to_owned()
}

/// From where somebody has signed in.
fn known_devices() -> TableCreateStatement {
    Table::create()
        .table("known_devices")
        .col(uuid("user_id"))
        // The address; of IPv6 the /64.
        .col(string("network"))
        // The browser or program, without the numbers of its version.
        .col(string("agent"))
        .col(big_integer("last_seen_at"))
        .primary_key(Index::create().col("user_id").col("network").col("agent"))
        .foreign_key(
            ForeignKey::create()
                .name("known_devices_user_id")
                .from("known_devices", "user_id")
                .to("users", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}
