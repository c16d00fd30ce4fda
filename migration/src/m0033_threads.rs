//! Threads, reactions, pins and saved messages.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, boolean, string, text_null, uuid, uuid_null},
};

pub struct Migration;

const MESSAGES: &str = "messages";

/// Name and what comes after `ON`. Those of `messages` are partial, so that what is sent to the main line costs no more than before.
const INDEXES: [(&str, &str); 6] = [
    ("messages_thread", "messages (thread_id, thread_no) WHERE thread_id IS NOT NULL"),
    ("messages_pinned", "messages (conversation_id, pinned_at) WHERE pinned_at IS NOT NULL"),
    ("reactions_shown", "reactions (message_id, emoji, seq)"),
    ("saved_messages_listed", "saved_messages (user_id, saved_at)"),
    ("saved_messages_message", "saved_messages (message_id)"),
    ("thread_followers_root", "thread_followers (root_id)"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite takes one column at a time.
        for column in columns() {
            manager.alter_table(Table::alter().table(MESSAGES).add_column(column).to_owned()).await?;
        }
        for table in tables() {
            manager.create_table(table).await?;
        }
        for (name, on) in INDEXES {
            manager.get_connection().execute_unprepared(&format!("CREATE INDEX {name} ON {on}")).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["thread_followers", "saved_messages", "reactions"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        for name in ["messages_thread", "messages_pinned"] {
            manager.get_connection().execute_unprepared(&format!("DROP INDEX {name}")).await?;
        }
        for column in columns() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table(MESSAGES).drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}

fn columns() -> [ColumnDef; 10] {
    [
        // Of a reply: the message that it belongs to, and its number there.
        uuid_null("thread_id"),
        big_integer_null("thread_no"),
        boolean("also_to_conversation").default(false).to_owned(),
        // Of a message with replies: what is shown of them as JSON, and by what its thread is found.
        text_null("thread"),
        big_integer_null("thread_last_no"),
        big_integer_null("thread_at"),
        big_integer_null("solved_at"),
        // What is shown of the rows of `reactions`, as JSON.
        text_null("reactions"),
        big_integer_null("pinned_at"),
        // The message that this one passes on, as JSON.
        text_null("forwarded"),
    ]
}

fn tables() -> [TableCreateStatement; 3] {
    [
        Table::create()
            .table("reactions")
            .col(uuid("message_id"))
            .col(string("emoji"))
            .col(uuid("user_id"))
            .col(big_integer("seq"))
            .primary_key(Index::create().col("message_id").col("emoji").col("user_id"))
            .to_owned(),
        Table::create()
            .table("saved_messages")
            .col(uuid("user_id"))
            .col(uuid("message_id"))
            .col(big_integer("saved_at"))
            .primary_key(Index::create().col("user_id").col("message_id"))
            .to_owned(),
        Table::create()
            .table("thread_followers")
            .col(uuid("user_id"))
            .col(uuid("root_id"))
            .col(big_integer("read_no"))
            .primary_key(Index::create().col("user_id").col("root_id"))
            .to_owned(),
    ]
}
