//! Bans of addresses, and the audit log.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, boolean, string, string_null, uuid, uuid_null},
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(bans()).await?;
        manager.create_index(index("bans", "bans_expires_at", &["expires_at"])).await?;
        manager.create_index(index("bans", "bans_network", &["network", "expires_at"])).await?;
        manager.create_table(audit_log()).await?;
        manager.create_index(index("audit_log", "audit_log_created_at", &["created_at"])).await?;
        manager.create_index(index("audit_log", "audit_log_action", &["action", "created_at"])).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["audit_log", "bans"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn bans() -> TableCreateStatement {
    Table::create()
        .table("bans")
        .col(uuid("id").primary_key())
        // In CIDR notation, the host's part zero, so that equal networks are equal texts.
        .col(string("network"))
        .col(string("reason"))
        // Earlier bans by the firewall make the next one of the same network longer.
        .col(boolean("is_automatic"))
        .col(uuid_null("created_by"))
        .col(big_integer("created_at"))
        .col(big_integer("expires_at"))
        .col(big_integer_null("lifted_at"))
        .to_owned()
}

/// Without foreign keys: entries outlive what they refer to.
fn audit_log() -> TableCreateStatement {
    Table::create()
        .table("audit_log")
        .col(uuid("id").primary_key())
        .col(string("action"))
        .col(uuid_null("actor"))
        .col(string_null("target"))
        .col(string_null("address"))
        .col(big_integer("created_at"))
        .to_owned()
}

fn index(table: &'static str, name: &str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create().name(name).table(table).to_owned();
    for column in columns {
        index.col(*column);
    }
    index
}
