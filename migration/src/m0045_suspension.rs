//! Accounts that are suspended, and what the console looks for people and for lines of the audit log by.

use crate::{
    prelude::*,
    schema::{big_integer_null, text_null, uuid_null},
};

pub struct Migration;

const TABLE: &str = "users";

/// Name and what comes after `ON`.
const INDEXES: [(&str, &str); 4] = [
    ("users_suspended", "users (suspended_at) WHERE suspended_at IS NOT NULL"),
    ("users_created", "users (created_at, id)"),
    ("audit_log_actor", "audit_log (actor, created_at)"),
    ("audit_log_target", "audit_log (target, created_at)"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite takes one column at a time.
        for column in columns() {
            manager.alter_table(Table::alter().table(TABLE).add_column(column).to_owned()).await?;
        }
        for (name, on) in INDEXES {
            manager.get_connection().execute_unprepared(&format!("CREATE INDEX {name} ON {on}")).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // An earlier release would let everybody in again, whose sign-ins and keys it knows: those of suspended people end.
        let ended = "UPDATE api_keys SET revoked_at = (SELECT u.suspended_at FROM users u WHERE u.id = api_keys.user_id) \
                     WHERE revoked_at IS NULL AND user_id IN (SELECT id FROM users WHERE suspended_at IS NOT NULL)";
        manager.get_connection().execute_unprepared(ended).await?;
        for (name, _) in INDEXES {
            manager.get_connection().execute_unprepared(&format!("DROP INDEX {name}")).await?;
        }
        for column in columns() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table(TABLE).drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}

fn columns() -> [ColumnDef; 3] {
    [big_integer_null("suspended_at"), text_null("suspended_reason"), uuid_null("suspended_by")]
}
