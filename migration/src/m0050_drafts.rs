//! Drafts, and messages that are sent later.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, string, string_null, text, text_null, uuid, uuid_null},
};

pub struct Migration;

const TABLES: [&str; 3] = ["scheduled_uploads", "scheduled_messages", "drafts"];

/// Name and what comes after `ON`.
const INDEXES: [(&str, &str); 3] = [
    ("drafts_listed", "drafts (user_id, updated_at)"),
    ("scheduled_messages_listed", "scheduled_messages (user_id, send_at)"),
    ("scheduled_uploads_upload", "scheduled_uploads (upload_id)"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [drafts(), scheduled_messages(), scheduled_uploads()] {
            manager.create_table(table).await?;
        }
        for (name, on) in INDEXES {
            manager.get_connection().execute_unprepared(&format!("CREATE INDEX {name} ON {on}")).await?;
        }
        // The same `client_id` again is the same message.
        let once =
            "CREATE UNIQUE INDEX scheduled_messages_once ON scheduled_messages (user_id, conversation_id, client_id)";
        manager.get_connection().execute_unprepared(once).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn drafts() -> TableCreateStatement {
    Table::create()
        .table("drafts")
        .col(uuid("user_id"))
        .col(uuid("conversation_id"))
        // The message in whose thread it is written; nil: in the main line.
        .col(uuid("thread_id"))
        // Empty where it was sent or given up: what another device brings later is older than that.
        .col(text("content"))
        .col(uuid_null("reply_to"))
        .col(big_integer("updated_at"))
        .primary_key(Index::create().col("user_id").col("conversation_id").col("thread_id"))
        .to_owned()
}

fn scheduled_messages() -> TableCreateStatement {
    Table::create()
        .table("scheduled_messages")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(uuid("conversation_id"))
        .col(string("client_id"))
        // What it says and where, as JSON.
        .col(text("payload"))
        .col(big_integer("send_at"))
        .col(big_integer("created_at"))
        // Since when it is on its way: it can't be changed any more.
        .col(big_integer_null("sending_at"))
        // Why it was not sent.
        .col(string_null("failure"))
        .col(text_null("failure_message"))
        .to_owned()
}

fn scheduled_uploads() -> TableCreateStatement {
    Table::create()
        .table("scheduled_uploads")
        .col(uuid("scheduled_id"))
        .col(uuid("upload_id"))
        .primary_key(Index::create().col("scheduled_id").col("upload_id"))
        .to_owned()
}
