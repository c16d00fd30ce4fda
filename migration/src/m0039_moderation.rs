//! Reports of messages, what moderators do about them, and what channels ask of those who write.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, string, text, text_null, uuid, uuid_null},
};

pub struct Migration;

const TABLES: [&str; 4] = ["message_reports", "hidden_messages", "user_warnings", "slow_turns"];

/// Name and what comes after `ON`.
const INDEXES: [(&str, &str); 4] = [
    ("message_reports_queue", "message_reports (status, created_at)"),
    ("message_reports_author", "message_reports (author_id, created_at)"),
    ("message_reports_reporter", "message_reports (reporter_id, status)"),
    ("user_warnings_unseen", "user_warnings (user_id, created_at)"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite takes one column at a time.
        for (table, column) in columns() {
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        for table in tables() {
            manager.create_table(table).await?;
        }
        let connection = manager.get_connection();
        for (name, on) in INDEXES {
            connection.execute_unprepared(&format!("CREATE INDEX {name} ON {on}")).await?;
        }
        // Nobody reports a message twice while the first report is not closed.
        let once = "CREATE UNIQUE INDEX message_reports_once ON message_reports (message_id, reporter_id) WHERE status <> 'closed'";
        connection.execute_unprepared(once).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // To an earlier release what is hidden would be a message without words.
        let statement = "UPDATE messages SET deleted_at = hidden_at WHERE hidden_at IS NOT NULL AND deleted_at IS NULL";
        manager.get_connection().execute_unprepared(statement).await?;
        for table in TABLES {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        for (table, column) in columns() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table(table).drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}

fn columns() -> [(&'static str, ColumnDef); 3] {
    [
        // Since when a moderator hides it. What it said is in `hidden_messages` then.
        ("messages", big_integer_null("hidden_at")),
        ("conversations", big_integer("slow_mode_seconds").default(0).to_owned()),
        // As JSON.
        ("conversations", text_null("word_filter")),
    ]
}

fn tables() -> [TableCreateStatement; 4] {
    [
        Table::create()
            .table("message_reports")
            .col(uuid("id").primary_key())
            .col(uuid("message_id"))
            .col(uuid("conversation_id"))
            .col(uuid("reporter_id"))
            .col(string("author_kind"))
            .col(uuid_null("author_id"))
            .col(string("reason"))
            .col(text_null("words"))
            // What the message said when it was reported, until the report is closed.
            .col(text_null("excerpt"))
            // `open`, `taken` or `closed`.
            .col(string("status"))
            .col(uuid_null("taken_by"))
            .col(big_integer_null("taken_at"))
            .col(uuid_null("closed_by"))
            .col(big_integer_null("closed_at"))
            // What was done when it was closed, with commas; empty: it was dismissed.
            .col(string("deeds").default(""))
            .col(big_integer("created_at"))
            .to_owned(),
        Table::create()
            .table("hidden_messages")
            .col(uuid("message_id").primary_key())
            .col(uuid("hidden_by"))
            .col(text("content"))
            .col(text_null("attachments"))
            .col(text_null("forwarded"))
            .col(text_null("tool_calls"))
            .col(text_null("answer"))
            .to_owned(),
        Table::create()
            .table("user_warnings")
            .col(uuid("id").primary_key())
            .col(uuid("user_id"))
            .col(uuid("given_by"))
            .col(uuid_null("message_id"))
            .col(uuid_null("conversation_id"))
            .col(string("reason"))
            .col(text_null("words"))
            .col(big_integer("created_at"))
            .col(big_integer_null("seen_at"))
            .to_owned(),
        // When somebody wrote last where there is slow mode.
        Table::create()
            .table("slow_turns")
            .col(uuid("conversation_id"))
            .col(uuid("user_id"))
            .col(big_integer("at"))
            .primary_key(Index::create().col("conversation_id").col("user_id"))
            .to_owned(),
    ]
}
