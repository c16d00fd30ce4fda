//! Tools ask until an administrator says otherwise. What a server's own word had made `auto` can't be told from what an administrator chose.

use crate::prelude::*;

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sql = r#"UPDATE mcp_servers SET modes = REPLACE(modes, ':"auto"', ':"ask"')"#;
        manager.get_connection().execute_unprepared(sql).await?;
        Ok(())
    }

    async fn down(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Ok(())
    }
}
