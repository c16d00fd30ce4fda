//! Uploaded files and their uses in messages, profiles and emoji.

use crate::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, integer, integer_null, string, string_null, text, text_null, uuid, uuid_null,
    },
};

pub struct Migration;

const INDEXES: &[&str] = &[
    "CREATE INDEX uploads_owner ON uploads (owner_id, created_at)",
    "CREATE INDEX message_uploads_upload ON message_uploads (upload_id)",
    "CREATE INDEX message_uploads_conversation ON message_uploads (conversation_id)",
    "CREATE INDEX message_uploads_space ON message_uploads (workspace_id, size)",
    "CREATE INDEX scheduled_uploads_upload ON scheduled_uploads (upload_id)",
    "CREATE INDEX user_pictures_upload ON user_pictures (upload_id)",
    "CREATE INDEX workspace_emoji_upload ON workspace_emoji (upload_id)",
    "CREATE INDEX workspace_emoji_creator ON workspace_emoji (created_by)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_tables(tables()).await?;
        manager.execute_all(INDEXES).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_tables(tables()).await
    }
}

fn tables() -> Vec<TableCreateStatement> {
    vec![
        uploads(),
        upload_parts(),
        upload_texts(),
        message_uploads(),
        scheduled_uploads(),
        user_pictures(),
        workspace_emoji(),
    ]
}

fn uploads() -> TableCreateStatement {
    Table::create()
        .table("uploads")
        .col(uuid("id").primary_key())
        // User who uploaded the file; NULL if the account was deleted.
        .col(uuid_null("owner_id"))
        .col(text("name"))
        .col(string("kind"))
        .col(string("media_type"))
        // Size in bytes. Until the upload is complete it is the size announced by the client, or
        // NULL if none was announced.
        .col(big_integer_null("size"))
        .col(string_null("sha256"))
        .col(integer_null("width"))
        .col(integer_null("height"))
        .col(big_integer_null("duration_ms"))
        // Waveform as JSON.
        .col(text_null("peaks"))
        .col(string_null("thumbhash"))
        // Media type of the thumbnails; NULL if there are none.
        .col(string_null("thumbnail_type"))
        .col(text_null("transcript"))
        .col(string("status"))
        // Time at which the last reference by a message was removed; the content may already be
        // deleted.
        .col(big_integer_null("removed_at"))
        // State of the transcript; NULL if no transcript is made.
        .col(string_null("transcript_state"))
        // End of the lease of the instance that joins the parts.
        .col(big_integer_null("assembly_lease_until"))
        // Bytes of the storage quota that are reserved while the size is unknown.
        .col(big_integer_null("reserved_bytes"))
        .col(string("search_name").default(""))
        // Value of the header `Upload-Metadata` as sent by the client.
        .col(text_null("tus_metadata"))
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

/// Text extracted from uploads for the search index.
fn upload_texts() -> TableCreateStatement {
    Table::create()
        .table("upload_texts")
        .col(uuid("upload_id").primary_key())
        .col(text("text"))
        // Length of the text in bytes; 0 if the file has no text.
        .col(integer("length"))
        .col(big_integer("read_at"))
        .to_owned()
}

/// Uploads attached to messages.
fn message_uploads() -> TableCreateStatement {
    Table::create()
        .table("message_uploads")
        .col(uuid("message_id"))
        .col(uuid("upload_id"))
        .col(uuid("conversation_id"))
        // Workspace whose storage the upload counts against.
        .col(uuid("workspace_id"))
        .col(big_integer("size"))
        .primary_key(Index::create().col("message_id").col("upload_id"))
        .to_owned()
}

/// Uploads attached to scheduled messages.
fn scheduled_uploads() -> TableCreateStatement {
    Table::create()
        .table("scheduled_uploads")
        .col(uuid("scheduled_id"))
        .col(uuid("upload_id"))
        .primary_key(Index::create().col("scheduled_id").col("upload_id"))
        .to_owned()
}

fn user_pictures() -> TableCreateStatement {
    Table::create()
        .table("user_pictures")
        .col(uuid("user_id").primary_key())
        .col(uuid("upload_id"))
        .col(big_integer("created_at"))
        .to_owned()
}

fn workspace_emoji() -> TableCreateStatement {
    Table::create()
        .table("workspace_emoji")
        .col(uuid("workspace_id"))
        .col(string("name"))
        .col(uuid("upload_id"))
        // User who added the emoji; NULL if the account was deleted.
        .col(uuid_null("created_by"))
        .col(big_integer("created_at"))
        .primary_key(Index::create().col("workspace_id").col("name"))
        .to_owned()
}
