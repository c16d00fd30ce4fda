//! What people look like: each a picture that they have uploaded.

use crate::{
    prelude::*,
    schema::{big_integer, uuid},
};

pub struct Migration;

const PICTURES: &str = "user_pictures";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(PICTURES)
            .col(uuid("user_id").primary_key())
            .col(uuid("upload_id"))
            .col(big_integer("created_at"))
            .to_owned();
        manager.create_table(table).await?;
        let index = "CREATE INDEX user_pictures_upload ON user_pictures (upload_id)";
        manager.get_connection().execute_unprepared(index).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(PICTURES).to_owned()).await
    }
}
