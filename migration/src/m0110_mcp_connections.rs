//! People connect accounts of theirs with servers of tools (OAuth): how a server is signed in to, what we are to its authorization server, and the
//! connections.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, binary, binary_null, boolean, string, string_null, text, text_null, uuid},
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let auth = Table::alter().table("mcp_servers").add_column(string("auth").default("secrets")).to_owned();
        manager.alter_table(auth).await?;
        manager.create_table(clients()).await?;
        manager.create_table(connections()).await?;
        let index = Index::create().name("mcp_connections_server").table("mcp_connections").col("server_id").to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["mcp_connections", "mcp_clients"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        manager.alter_table(Table::alter().table("mcp_servers").drop_column("auth").to_owned()).await
    }
}

/// What Natter is to the authorization server of a server of tools.
fn clients() -> TableCreateStatement {
    Table::create()
        .table("mcp_clients")
        .col(uuid("server_id").primary_key())
        // Where Natter has registered itself, and for which address; none: an administrator has entered it.
        .col(string_null("issuer"))
        .col(text_null("redirect_uri"))
        .col(text("client_id"))
        .col(binary_null("secret"))
        .col(boolean("is_sealed"))
        // When the authorization server forgets the secret.
        .col(big_integer_null("expires_at"))
        .to_owned()
}

fn connections() -> TableCreateStatement {
    Table::create()
        .table("mcp_connections")
        .col(uuid("user_id"))
        .col(uuid("server_id"))
        // The tokens and where they are renewed, as JSON; sealed where there is a secret to seal them with.
        .col(binary("tokens"))
        .col(boolean("is_sealed"))
        // Of the access token.
        .col(big_integer_null("expires_at"))
        // The person has to sign in anew.
        .col(boolean("is_expired"))
        // Another one with each change of the tokens.
        .col(big_integer("version"))
        // Until when one worker renews the tokens.
        .col(big_integer_null("claimed_until"))
        .col(big_integer("created_at"))
        .primary_key(Index::create().col("user_id").col("server_id"))
        .to_owned()
}
