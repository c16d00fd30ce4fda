//! Devices that are woken by push, the key by which push services know this server, and which notifications have woken somebody.

use crate::{
    prelude::*,
    schema::{big_integer, binary, boolean, integer, string, text, uuid},
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let subscriptions = Table::create()
            .table("push_subscriptions")
            .col(uuid("id").primary_key())
            .col(uuid("user_id"))
            // The sign-in of the device: when it ends, so does this.
            .col(uuid("session_id"))
            .col(text("endpoint"))
            // The device's public key, and the secret that it shares with this server.
            .col(binary("p256dh"))
            .col(binary("auth"))
            .col(big_integer("created_at"))
            .to_owned();
        manager.create_table(subscriptions).await?;
        let keys = Table::create()
            .table("push_keys")
            .col(integer("id").primary_key())
            .col(binary("private_key"))
            .col(boolean("is_sealed"))
            .col(string("public_key"))
            .to_owned();
        manager.create_table(keys).await?;
        let db = manager.get_connection();
        db.execute_unprepared("CREATE UNIQUE INDEX push_subscriptions_endpoint ON push_subscriptions (endpoint)")
            .await?;
        db.execute_unprepared("CREATE INDEX push_subscriptions_user ON push_subscriptions (user_id)").await?;
        let pushed = boolean("pushed").default(false).to_owned();
        manager.alter_table(Table::alter().table("notifications").add_column(pushed).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("notifications").drop_column("pushed").to_owned()).await?;
        for table in ["push_keys", "push_subscriptions"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
