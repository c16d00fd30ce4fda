//! Files: what was uploaded, its parts while it is on its way, and the messages that carry it.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, integer_null, string, string_null, text, text_null, uuid, uuid_null},
};

pub struct Migration;

const INDEXES: [(&str, &str); 4] = [
    ("uploads_owner", "uploads (owner_id, created_at)"),
    ("message_uploads_upload", "message_uploads (upload_id)"),
    ("message_uploads_conversation", "message_uploads (conversation_id)"),
    ("message_uploads_workspace", "message_uploads (workspace_id)"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(uploads()).await?;
        manager.create_table(upload_parts()).await?;
        manager.create_table(message_uploads()).await?;
        // As JSON: what a message carries is read with it.
        manager.alter_table(Table::alter().table("messages").add_column(text_null("attachments")).to_owned()).await?;
        for (name, on) in INDEXES {
            manager.get_connection().execute_unprepared(&format!("CREATE INDEX {name} ON {on}")).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("messages").drop_column("attachments").to_owned()).await?;
        for table in ["message_uploads", "upload_parts", "uploads"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn uploads() -> TableCreateStatement {
    Table::create()
        .table("uploads")
        .col(uuid("id").primary_key())
        // None: the account was deleted.
        .col(uuid_null("owner_id"))
        .col(text("name"))
        .col(string("kind"))
        .col(string("media_type"))
        // As announced until all of it is there; none: it was not said.
        .col(big_integer_null("size"))
        .col(string_null("sha256"))
        .col(integer_null("width"))
        .col(integer_null("height"))
        .col(big_integer_null("duration_ms"))
        // As JSON.
        .col(text_null("peaks"))
        .col(string_null("thumbhash"))
        // What its thumbnails are written in; none: it has none.
        .col(string_null("thumbnail_type"))
        .col(text_null("transcript"))
        .col(string("status"))
        .col(big_integer("created_at"))
        .to_owned()
}

fn upload_parts() -> TableCreateStatement {
    Table::create()
        .table("upload_parts")
        .col(uuid("upload_id"))
        .col(big_integer("position"))
        .col(big_integer("size"))
        .col(uuid("part_id"))
        .primary_key(Index::create().col("upload_id").col("position"))
        .to_owned()
}

fn message_uploads() -> TableCreateStatement {
    Table::create()
        .table("message_uploads")
        .col(uuid("message_id"))
        .col(uuid("upload_id"))
        .col(uuid("conversation_id"))
        // Whose space it takes, and how much.
        .col(uuid("workspace_id"))
        .col(big_integer("size"))
        .primary_key(Index::create().col("message_id").col("upload_id"))
        .to_owned()
}
