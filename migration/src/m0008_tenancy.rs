//! Keys for programs, invitations, and the mail domains whose people may join a workspace.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, blob, string, string_null, uuid},
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(api_keys()).await?;
        manager.create_index(unique("api_keys_hash", "api_keys", "key_hash")).await?;
        manager.create_index(Index::create().name("api_keys_user").table("api_keys").col("user_id").to_owned()).await?;
        manager.create_table(workspace_domains()).await?;
        manager
            .create_index(
                Index::create().name("workspace_domains_domain").table("workspace_domains").col("domain").to_owned(),
            )
            .await?;
        manager.create_table(invitations()).await?;
        manager.create_index(unique("invitations_token", "invitations", "token_hash")).await?;
        manager
            .create_index(
                Index::create().name("invitations_workspace").table("invitations").col("workspace_id").to_owned(),
            )
            .await?;
        // Whose members are to be taken out of its conversations: asked by workspace.
        manager
            .create_index(
                Index::create().name("conversations_workspace").table("conversations").col("workspace_id").to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("conversations_workspace").table("conversations").to_owned()).await?;
        for table in ["invitations", "workspace_domains", "api_keys"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn unique(name: &str, table: &'static str, column: &'static str) -> IndexCreateStatement {
    Index::create().name(name).table(table).col(column).unique().to_owned()
}

fn api_keys() -> TableCreateStatement {
    Table::create()
        .table("api_keys")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(string("name"))
        // How the key begins, to recognise it by; of the rest there is only the fingerprint.
        .col(string("prefix"))
        .col(blob("key_hash"))
        .col(string("scopes"))
        .col(big_integer("created_at"))
        .col(big_integer_null("expires_at"))
        .col(big_integer_null("last_used_at"))
        .col(big_integer_null("revoked_at"))
        .foreign_key(
            ForeignKey::create()
                .name("api_keys_user_id")
                .from("api_keys", "user_id")
                .to("users", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

fn workspace_domains() -> TableCreateStatement {
    Table::create()
        .table("workspace_domains")
        .col(uuid("workspace_id"))
        .col(string("domain"))
        .primary_key(Index::create().col("workspace_id").col("domain"))
        .foreign_key(
            ForeignKey::create()
                .name("workspace_domains_workspace_id")
                .from("workspace_domains", "workspace_id")
                .to("workspaces", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

fn invitations() -> TableCreateStatement {
    Table::create()
        .table("invitations")
        .col(uuid("id").primary_key())
        .col(uuid("workspace_id"))
        // None: for whoever has the link.
        .col(string_null("email"))
        .col(string("role"))
        // Of the token that its maker was told. The one in a mail, which only its reader knows, is among the mail tokens.
        .col(blob("token_hash"))
        .col(big_integer("uses"))
        .col(big_integer("max_uses"))
        .col(uuid("created_by"))
        .col(big_integer("created_at"))
        .col(big_integer("expires_at"))
        .col(big_integer_null("revoked_at"))
        .foreign_key(
            ForeignKey::create()
                .name("invitations_workspace_id")
                .from("invitations", "workspace_id")
                .to("workspaces", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .foreign_key(
            ForeignKey::create().name("invitations_created_by").from("invitations", "created_by").to("users", "id"),
        )
        .to_owned()
}
