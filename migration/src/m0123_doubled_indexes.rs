//! Indexes of which another one begins with the same columns: they were written at each change and found nothing that the other doesn't.

use crate::prelude::*;

pub struct Migration;

/// Name, table and column.
const INDEXES: [(&str, &str, &str); 2] = [
    // There is `conversations_of_workspace`, by workspace and id.
    ("conversations_workspace", "conversations", "workspace_id"),
    // There is `message_uploads_space`, by workspace and size.
    ("message_uploads_workspace", "message_uploads", "workspace_id"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, table, _) in INDEXES {
            manager.drop_index(Index::drop().name(name).table(table).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, table, column) in INDEXES {
            manager.create_index(Index::create().name(name).table(table).col(column).to_owned()).await?;
        }
        Ok(())
    }
}
