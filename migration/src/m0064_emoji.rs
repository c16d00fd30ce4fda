//! Emoji of workspaces: names that their members have given to small pictures.

use crate::{
    prelude::*,
    schema::{big_integer, string, uuid, uuid_null},
};

pub struct Migration;

const EMOJI: &str = "workspace_emoji";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(EMOJI)
            .col(uuid("workspace_id"))
            .col(string("name"))
            .col(uuid("upload_id"))
            // None: the account was deleted.
            .col(uuid_null("created_by"))
            .col(big_integer("created_at"))
            .primary_key(Index::create().col("workspace_id").col("name"))
            .to_owned();
        manager.create_table(table).await?;
        for index in [
            "workspace_emoji_upload ON workspace_emoji (upload_id)",
            "workspace_emoji_creator ON workspace_emoji (created_by)",
        ] {
            manager.get_connection().execute_unprepared(&format!("CREATE INDEX {index}")).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(EMOJI).to_owned()).await
    }
}
