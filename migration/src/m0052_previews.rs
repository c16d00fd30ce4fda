//! What links in messages lead to, and who doesn't want that to be shown.

use crate::{
    prelude::*,
    schema::{text_null, uuid},
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("messages").add_column(text_null("previews")).to_owned()).await?;
        // Of a person or a workspace. Where there is no row they are on.
        let off = Table::create().table("previews_off").col(uuid("subject_id").primary_key()).to_owned();
        manager.create_table(off).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("previews_off").to_owned()).await?;
        manager.alter_table(Table::alter().table("messages").drop_column("previews").to_owned()).await
    }
}
