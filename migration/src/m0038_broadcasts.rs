//! Announcements of the administrators, and what has become of each with whom.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, boolean, string, string_null, text, uuid, uuid_null},
};

pub struct Migration;

const TABLES: [&str; 2] = ["broadcast_receipts", "broadcasts"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(broadcasts()).await?;
        manager.create_table(receipts()).await?;
        let connection = manager.get_connection();
        let standing = "CREATE INDEX broadcasts_standing ON broadcasts (starts_at) WHERE withdrawn_at IS NULL";
        connection.execute_unprepared(standing).await?;
        // What is deleted with an account.
        connection.execute_unprepared("CREATE INDEX broadcast_receipts_user ON broadcast_receipts (user_id)").await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn broadcasts() -> TableCreateStatement {
    Table::create()
        .table("broadcasts")
        .col(uuid("id").primary_key())
        .col(string("title"))
        // The title in small letters.
        .col(string("search_title"))
        .col(text("body"))
        .col(string("severity"))
        // JSON, as are the channels.
        .col(text("audience"))
        .col(string("channels"))
        .col(boolean("dismissible"))
        .col(big_integer("starts_at"))
        .col(big_integer_null("ends_at"))
        .col(big_integer_null("withdrawn_at"))
        .col(uuid("created_by"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .col(big_integer("recipients"))
        // What was told of it last, and when.
        .col(string_null("told"))
        .col(big_integer_null("told_at"))
        // The last person who was sent a mail, and when there was nobody left.
        .col(uuid_null("mailed_to"))
        .col(big_integer_null("mailed_at"))
        .to_owned()
}

fn receipts() -> TableCreateStatement {
    Table::create()
        .table("broadcast_receipts")
        .col(uuid("broadcast_id"))
        .col(uuid("user_id"))
        .col(big_integer("delivered_at"))
        .col(big_integer_null("seen_at"))
        .col(big_integer_null("dismissed_at"))
        .primary_key(Index::create().col("broadcast_id").col("user_id"))
        .to_owned()
}
