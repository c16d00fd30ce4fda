//! The newest files of a conversation are found without reading all that were ever sent in it.

use crate::prelude::*;

pub struct Migration;

const TABLE: &str = "messages";
const INDEX: &str = "messages_with_files";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sql = format!("CREATE INDEX {INDEX} ON {TABLE} (conversation_id, seq) WHERE attachments IS NOT NULL");
        manager.get_connection().execute_unprepared(&sql).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name(INDEX).table(TABLE).to_owned()).await
    }
}
