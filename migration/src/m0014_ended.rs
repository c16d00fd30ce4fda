//! Sign-ins and keys, by when they were ended: open connections ask for the latest.

use crate::prelude::*;

pub struct Migration;

/// Name, table, column.
const INDEXES: [(&str, &str, &str); 2] =
    [("user_sessions_ended", "user_sessions", "ended_at"), ("api_keys_revoked", "api_keys", "revoked_at")];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, table, column) in INDEXES {
            let ended = Expr::col(column).is_not_null();
            let index = Index::create().name(name).table(table).col(column).and_where(ended).to_owned();
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, table, _) in INDEXES {
            manager.drop_index(Index::drop().name(name).table(table).to_owned()).await?;
        }
        Ok(())
    }
}
