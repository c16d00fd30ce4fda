//! Other ways to sign in than a password, and second factors.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, blob, boolean, integer, string, string_null, text, uuid, uuid_null},
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let second_factor = boolean("second_factor").default(false).to_owned();
        manager.alter_table(Table::alter().table("users").add_column(second_factor).to_owned()).await?;
        manager.create_table(identities()).await?;
        manager.create_index(unique("identities_subject", "identities", &["issuer", "subject"])).await?;
        manager.create_index(of_user("identities")).await?;
        manager.create_table(used_id_tokens()).await?;
        manager.create_index(running_out("used_id_tokens")).await?;
        manager.create_table(totp()).await?;
        manager.create_table(recovery_codes()).await?;
        manager.create_index(of_user("recovery_codes")).await?;
        manager.create_table(passkeys()).await?;
        manager.create_index(unique("passkeys_credential", "passkeys", &["credential_id"])).await?;
        manager.create_index(of_user("passkeys")).await?;
        manager.create_table(pending_sign_ins()).await?;
        manager.create_index(unique("pending_sign_ins_handle", "pending_sign_ins", &["handle_hash"])).await?;
        manager.create_index(of_user("pending_sign_ins")).await?;
        manager.create_index(running_out("pending_sign_ins")).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["pending_sign_ins", "passkeys", "recovery_codes", "totp", "used_id_tokens", "identities"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        manager.alter_table(Table::alter().table("users").drop_column("second_factor").to_owned()).await
    }
}

/// Who somebody is at a provider of identities.
fn identities() -> TableCreateStatement {
    Table::create()
        .table("identities")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        // What the settings call the provider.
        .col(string("provider"))
        .col(string("issuer"))
        .col(string("subject"))
        .col(string_null("email"))
        .col(big_integer("created_at"))
        .col(big_integer("last_used_at"))
        .foreign_key(&mut belongs_to_user("identities"))
        .to_owned()
}

/// Used ID tokens: each signs in once.
fn used_id_tokens() -> TableCreateStatement {
    Table::create()
        .table("used_id_tokens")
        .col(blob("token_hash").primary_key())
        .col(big_integer("expires_at"))
        .to_owned()
}

fn totp() -> TableCreateStatement {
    Table::create()
        .table("totp")
        .col(uuid("user_id").primary_key())
        // Sealed where the operator has set a secret.
        .col(blob("secret"))
        .col(boolean("is_sealed"))
        .col(big_integer_null("confirmed_at"))
        // The newest step of which a code was used, and which of those before it were, a bit each.
        .col(big_integer("newest_step").default(0))
        .col(big_integer("used_steps").default(0))
        // Wrong codes since then, over all sign-ins.
        .col(integer("failures").default(0))
        .col(big_integer("failures_since").default(0))
        .col(big_integer("created_at"))
        .foreign_key(&mut belongs_to_user("totp"))
        .to_owned()
}

fn recovery_codes() -> TableCreateStatement {
    Table::create()
        .table("recovery_codes")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(blob("code_hash"))
        .col(big_integer_null("used_at"))
        .foreign_key(&mut belongs_to_user("recovery_codes"))
        .to_owned()
}

fn passkeys() -> TableCreateStatement {
    Table::create()
        .table("passkeys")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(blob("credential_id"))
        // The public key, the counter and what else a signature is checked by, as JSON.
        .col(text("credential"))
        .col(string("name"))
        .col(big_integer("created_at"))
        .col(big_integer_null("last_used_at"))
        .foreign_key(&mut belongs_to_user("passkeys"))
        .to_owned()
}

/// Unfinished sign-ins: at a provider, before the second factor, or waiting for a passkey.
fn pending_sign_ins() -> TableCreateStatement {
    Table::create()
        .table("pending_sign_ins")
        .col(uuid("id").primary_key())
        .col(string("kind"))
        // Whose it is, where that is known.
        .col(uuid_null("user_id"))
        .col(blob("handle_hash"))
        // What must be known when it goes on: sealed with the handle, which only the caller has, unless there is nothing secret in it.
        .col(blob("state"))
        .col(integer("failures").default(0))
        .col(big_integer("created_at"))
        .col(big_integer("expires_at"))
        .foreign_key(&mut belongs_to_user("pending_sign_ins"))
        .to_owned()
}

fn belongs_to_user(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("{table}_user_id"))
        .from(table, "user_id")
        .to("users", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

fn unique(name: &'static str, table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create().name(name).table(table).unique().to_owned();
    for column in columns {
        index.col(*column);
    }
    index
}

fn of_user(table: &'static str) -> IndexCreateStatement {
    Index::create().name(format!("{table}_user")).table(table).col("user_id").to_owned()
}

fn running_out(table: &'static str) -> IndexCreateStatement {
    Index::create().name(format!("{table}_expires")).table(table).col("expires_at").to_owned()
}
